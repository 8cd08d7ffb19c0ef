"""language_of: names, extensions, shebangs, and the grammars that the table promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter_language_pack import get_language

from ctx42d.indexer.language_table import LANGUAGES
from ctx42d.indexer.languages import language_of


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("a/b/client.py", "python", "code"),
        ("stub.pyi", "python", "code"),
        ("app.jsx", "javascript", "code"),
        ("app.mjs", "javascript", "code"),
        ("app.ts", "typescript", "code"),
        ("types.d.ts", "typescript", "code"),
        ("App.TSX", "tsx", "code"),
        ("Main.java", "java", "code"),
        ("main.go", "go", "code"),
        ("lib.rs", "rust", "code"),
        ("a.c", "c", "code"),
        ("a.h", "c", "code"),
        ("a.hpp", "cpp", "code"),
        ("a.cc", "cpp", "code"),
        ("Program.cs", "csharp", "code"),
        ("Rakefile", "ruby", "code"),
        ("index.blade.php", "php", "code"),
        ("build.gradle.kts", "kotlin", "code"),
        ("App.swift", "swift", "code"),
        ("Main.scala", "scala", "code"),
        (".bashrc", "bash", "code"),
        ("init.lua", "lua", "code"),
        ("mix.exs", "elixir", "code"),
        ("a.hs", "haskell", "code"),
        ("a.zig", "zig", "code"),
        ("a.mm", "objc", "code"),
        ("schema.graphql", "graphql", "code"),
        ("x.proto", "proto", "code"),
        ("x.vue", "vue", "code"),
        ("CMakeLists.txt", "cmake", "code"),
        ("Makefile", "make", "config"),
        ("Dockerfile", "dockerfile", "config"),
        ("Dockerfile.dev", "dockerfile", "config"),
        ("main.tf", "terraform", "config"),
        ("ci.yml", "yaml", "config"),
        ("pyproject.toml", "toml", "config"),
        ("setup.cfg", "ini", "config"),
        ("requirements-dev.txt", "requirements", "config"),
        ("package.json", "jsonmanifest", "config"),
        ("tsconfig.build.json", "jsonmanifest", "config"),
        ("composer.json", "jsonmanifest", "config"),
        ("deno.json", "jsonmanifest", "config"),
        ("pom.xml", "xmlmanifest", "config"),
        ("App.csproj", "xmlmanifest", "config"),
        ("README", "text", "docs"),
        ("README.md", "markdown", "docs"),
        ("index.rst", "rst", "docs"),
        ("notes.txt", "text", "docs"),
        ("strings.json", "json", "data"),
        ("package-lock.json", "lock", "data"),
        ("pnpm-lock.yaml", "lock", "data"),
        ("Cargo.lock", "lock", "data"),
        ("go.sum", "lock", "data"),
        ("a.csv", "csv", "data"),
        ("a.tsv", "tsv", "data"),
        ("a.svg", "svg", "data"),
        ("de.po", "gettext", "data"),
        ("a.ipynb", "notebook", "data"),
    ],
)
def test_the_name_tells_the_language_and_the_kind(path, name, kind):
    found = language_of(path.encode())
    assert found is not None
    assert (found.name, found.kind) == (name, kind)


@pytest.mark.parametrize("path", ["LICENSE", "a.xyz", "noextension", "", "photo.jpg", ".hidden", "py", "a.", "\udcff"])
def test_an_unknown_name_has_no_language(path):
    assert language_of(path.encode(errors="surrogateescape")) is None


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"#!/bin/sh\n", "bash"),
        (b"#!/usr/bin/env python3\n", "python"),
        (b"#! /usr/bin/python3.11 -E\n", "python"),
        (b"#!/usr/bin/env -S deno run --allow-net\n", "typescript"),
        (b"#!/usr/bin/env node\n", "javascript"),
        (b"#!/usr/bin/perl -w\r\n", "perl"),
        (b"#!/usr/bin/env FOO=1 ruby\n", "ruby"),
    ],
)
def test_a_shebang_tells_the_language_of_a_nameless_script(line, name):
    found = language_of(b"bin/build", line + b"x = 1\n")
    assert found is LANGUAGES[name]


@pytest.mark.parametrize(
    ("path", "head", "name"),
    [
        (b"a.h", b"#include <stdio.h>\nint f(void);\nstruct class_info { int a; };\n", "c"),
        (b"a.h", b"#pragma once\nnamespace a {\n", "cpp"),
        (b"a.h", b"#include <string>\nstd::string f();\n", "cpp"),
        (b"a.h", b"#import <Foundation/Foundation.h>\n@interface A : NSObject\n", "objc"),
        (b"a.m", b"% solves it\nfunction y = f(x)\n", "matlab"),
        (b"a.m", b'#import "A.h"\n@implementation A\n', "objc"),
        (b"de.ts", b"<?xml version='1.0'?>\n<!DOCTYPE TS>", "xml"),
        (b"a.v", b"module counter(input clk);\n", "verilog"),
        (b"a.v", b"module main\n\nfn main() {\n", "v"),
        (b"a.pl", b":- module(a, [b/1]).\n", "prolog"),
    ],
)
def test_an_extension_of_two_languages_is_decided_by_the_first_bytes(path, head, name):
    assert language_of(path, head) is LANGUAGES[name]


def test_more_than_sixty_languages_are_known():
    assert len([found for found in LANGUAGES.values() if found.kind != "data"]) > 60


@pytest.mark.parametrize("grammar", sorted({found.grammar for found in LANGUAGES.values() if found.grammar}))
def test_each_grammar_of_the_table_can_be_loaded(grammar):
    assert get_language(grammar).node_kind_count > 0


@given(st.binary(max_size=40), st.binary(max_size=200))
def test_any_name_and_any_content_has_an_answer(path, head):
    found = language_of(path, head)
    assert found is None or LANGUAGES[found.name] is found
