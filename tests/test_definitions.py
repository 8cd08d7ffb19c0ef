"""What counts as a definition, language by language: symbols, kinds and lines of small hand-written samples."""

import pytest
from code_sample import PYTHON
from tree_sitter import Query
from tree_sitter_language_pack import get_language

from ctx42d.indexer.chunking import chunk
from ctx42d.indexer.grammar_queries import query_of
from ctx42d.indexer.language_table import LANGUAGES

MAX_CHARS = 160

BASH = """\
#!/bin/bash
set -euo pipefail
ROOT=/srv

# Makes a backup of the folder.
backup() {
  tar czf "$1.tar.gz" "$1"
}

function restore {
  tar xzf "$1.tar.gz" --directory "$ROOT"
}

backup "$@"
"""

C = """\
#include <stdio.h>

/* A node of
   the list. */
struct node {
  int value;
  struct node *next;
};

static char **names(const struct node *list, int count) {
  return collect(list, count);
}
"""

CPP = """\
namespace net {

template <typename T>
class Socket {
 public:
  int send(const T& data) { return write(fd_, data); }
};

template <typename T>
int net::Socket<T>::close(bool now) {
  return shutdown(fd_, now ? 2 : 1);
}

bool operator==(const A& a, const B& b) { return a.id == b.id; }
}
"""

CSHARP = """\
namespace A.B
{
    /// <summary>Keeps orders.</summary>
    [Serializable]
    public class Orders : Base
    {
        public Orders(int size) { Size = size; }

        public int Size { get; set; }

        // Adds one.
        public void Add(Order order)
        {
            this.items.Add(order);
        }
    }
}
"""

GO = """\
package main

// Client sends.
type Client struct {
	url string
	session *http.Client
}

// Send sends.
func (c *Client) Send(msg string) error {
	return c.session.Post(c.url, msg)
}

func (s Stack[T]) Push(item T) {
	s.items = append(s.items, item)
	s.size++
}
"""

JAVA = """\
package a.b;

import java.util.List;

/** A stack of things. */
@Deprecated
public class Stack<T> {
  public Stack() { this.items = null; }

  /** Pushes. */
  @Override
  public void push(T item) {
    items.add(item);
  }
}
"""

JAVASCRIPT = """\
const limit = 3;

/** Adds. */
export const add = (a, b) => {
  return a + b;
};

exports.sub = function (a, b) {
  return a - b;
};

class Queue {
  push(item) {
    this.items.push(item);
  }
}
"""

KOTLIN = """\
package a

interface Repo {
    fun find(id: Int): User
}

@Service
class Users(private val repo: Repo) {
    fun load(id: Int): User = repo.find(id).also { log(it) }
}

fun String.shout(times: Int): String {
    return this.uppercase().repeat(times)
}
"""

PHP = """\
<?php
namespace App;

/**
 * Mails.
 */
#[Attr]
class Mailer extends Base
{
    public function send(string $to): bool
    {
        return $this->transport->deliver($to);
    }
}

function helper(array $items)
{
    return array_filter($items, 'is_numeric');
}
"""

RUBY = """\
require 'set'

module Store
  # A shelf holds books.
  class Shelf < Base
    LIMIT = 20

    def add(book)
      @books << book if @books.size < LIMIT
    end

    def self.open(path)
      new(File.read(path), mode: :strict)
    end
  end
end
"""

RUST = """\
use std::fmt;

/// A point in the plane.
#[derive(Debug)]
pub struct Point<T> { x: T, y: T }

impl<T: Copy> Point<T> {
    /// Swaps its coordinates.
    #[inline]
    pub fn swap(&self) -> Point<T> {
        Point { x: self.y, y: self.x }
    }
}

pub trait Area {
    fn area(&self) -> f64;
    fn scale(&mut self, factor: f64);
}
"""

SCALA = """\
package a

trait Repo {
  def find(id: Int): Option[User]
}

/** Loads. */
object Loader extends App {
  def load(path: String): Seq[Row] = read(path).map(parse)
}

case class Row(id: Int, name: String, tags: List[String], n: Int)
"""

SWIFT = """\
import Foundation

protocol Shape {
    func area() -> Double
}

/// A circle.
struct Circle: Shape {
    let radius: Double
    func area() -> Double { .pi * radius * radius }
}

extension Circle {
    func scaled(by f: Double) -> Circle { Circle(radius: radius * f) }
}
"""

TSX = """\
export function Button(props: Props) {
  return <button onClick={props.go}>{props.label}</button>;
}

const Card: FC = () => <div className='card'><Button label='x' /></div>;
"""

TYPESCRIPT = """\
export interface Shape {
  area(): number;
  name: string;
}

export type Id = string | number | undefined;

enum Color {
  Red, Green, Blue, Yellow, Black
}

@Injectable({
  providedIn: 'root',
})
export abstract class Base {
  run = async () => { await go(); }
}
"""

SAMPLES = {
    "bash": (
        BASH,
        [(1, 4, "", ""), (5, 9, "backup", "function"), (10, 14, "restore", "function")],
        "ROOT backup restore",
    ),
    "c": (
        C,
        [(1, 9, "node", "struct"), (10, 12, "names", "function")],
        "node names",
    ),
    "cpp": (
        CPP,
        [(1, 8, "Socket", "class"), (9, 13, "Socket.close", "method"), (14, 15, "operator==", "function")],
        "Socket send close operator==",
    ),
    "csharp": (
        CSHARP,
        [
            (1, 6, "Orders", "class"),
            (7, 8, "Orders.Orders", "method"),
            (9, 10, "Orders.Size", "property"),
            (11, 17, "Orders.Add", "method"),
        ],
        "Orders Orders Size Add",
    ),
    "go": (
        GO,
        [(1, 8, "Client", "struct"), (9, 13, "Client.Send", "method"), (14, 17, "Stack.Push", "method")],
        "Client Send Push",
    ),
    "java": (
        JAVA,
        [(1, 4, "", ""), (5, 7, "Stack", "class"), (8, 9, "Stack.Stack", "method"), (10, 15, "Stack.push", "method")],
        "Stack Stack push",
    ),
    "javascript": (
        JAVASCRIPT,
        [(1, 7, "add", "function"), (8, 11, "sub", "function"), (12, 16, "Queue", "class")],
        "limit add sub Queue push",
    ),
    "kotlin": (
        KOTLIN,
        [(1, 6, "Repo", "interface"), (7, 11, "Users", "class"), (12, 14, "shout", "function")],
        "Repo find Users load shout",
    ),
    "php": (
        PHP,
        [(1, 3, "", ""), (4, 15, "Mailer", "class"), (16, 19, "helper", "function")],
        "Mailer send helper",
    ),
    "python": (
        PYTHON,
        [
            (1, 10, "Client", "class"),
            (11, 14, "Client.__init__", "method"),
            (15, 21, "Client.send", "method"),
            (22, 23, "main", "function"),
        ],
        "TIMEOUT Client __init__ send main",
    ),
    "ruby": (
        RUBY,
        [
            (1, 3, "Store", "module"),
            (4, 7, "Store.Shelf", "class"),
            (8, 11, "Store.Shelf.add", "method"),
            (12, 16, "Store.Shelf.open", "method"),
        ],
        "Store Shelf LIMIT add open",
    ),
    "rust": (
        RUST,
        [(1, 6, "Point", "struct"), (7, 14, "Point", "impl"), (15, 18, "Area", "trait")],
        "Point swap Area area scale",
    ),
    "scala": (
        SCALA,
        [(1, 6, "Repo", "trait"), (7, 11, "Loader", "object"), (12, 12, "Row", "class")],
        "Repo find Loader load Row",
    ),
    "swift": (
        SWIFT,
        [(1, 6, "Shape", "interface"), (7, 12, "Circle", "struct"), (13, 15, "Circle", "extension")],
        "Shape area Circle area scaled",
    ),
    "tsx": (
        TSX,
        [(1, 4, "Button", "function"), (5, 5, "Card", "function")],
        "Button Card",
    ),
    "typescript": (
        TYPESCRIPT,
        [(1, 5, "Shape", "interface"), (6, 7, "Id", "type"), (8, 11, "Color", "enum"), (12, 17, "Base", "class")],
        "Shape Id Color Base run",
    ),
}


@pytest.mark.parametrize("language", sorted(SAMPLES))
def test_each_language_names_its_definitions(language):
    text, expected, defines = SAMPLES[language]
    chunks = chunk(text, LANGUAGES[language], MAX_CHARS)
    assert [(c.start_line, c.end_line, c.symbol, c.kind) for c in chunks] == expected
    assert [name for c in chunks for name in c.defines] == defines.split()


GRAMMARS = sorted({found.grammar for found in LANGUAGES.values() if found.grammar and found.kind != "data"})


@pytest.mark.parametrize(
    ("language", "text", "symbols"),
    [
        ("lua", "function M.open(path)\n  return 1\nend\n", {"M.open"}),
        ("elixir", "defmodule App.Repo do\n  def find(id), do: id\nend\n", {"App.Repo"}),
        ("zig", "fn top(a: u8) void {}\n", {"top"}),
        ("haskell", "module A where\n\nfoo :: Int -> Int\nfoo x = x\n", {"foo"}),
        ("dart", "void main() {\n  run();\n}\n", {"main"}),
        ("julia", "function f(x)\n  x\nend\n", {"f"}),
        ("r", "read.all <- function(x) {\n  x\n}\n", {"read.all"}),
        ("clojure", "(defn parse [x] x)\n", {"parse"}),
        ("erlang", "foo(X) -> X.\n", {"foo"}),
        ("perl", "sub foo { 1 }\n", {"foo"}),
        ("objc", "@implementation A\n- (int)foo:(int)x { return 1; }\n@end\n", {"A"}),
        ("proto", "message User { int32 id = 1; }\n", {"User"}),
        ("terraform", 'resource "aws_instance" "web" {\n  a = 1\n}\n', {"web"}),
        ("sql", "CREATE TABLE app.users (id int);\n", {"users"}),
        ("solidity", "contract Token { function f() public {} }\n", {"Token"}),
        ("vim", "function! Foo(a)\nendfunction\n", {"Foo"}),
        ("powershell", "function Get-Thing {\n param($x)\n}\n", {"Get-Thing"}),
    ],
)
def test_other_grammars_name_definitions_too(language, text, symbols):
    assert {c.symbol for c in chunk(text, LANGUAGES[language], 1500)} == symbols


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_the_query_of_each_grammar_is_valid(grammar):
    source = query_of(grammar)
    assert "#" not in source  # tree_sitter's own predicates: see chunking._IS
    assert not source or Query(get_language(grammar), source).pattern_count > 0
