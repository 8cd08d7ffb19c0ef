"""What belongs to lines and names, from the index alone: the real daemon on a small real tree."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_kit import NO_DEEP, Home, service, write

from ctx42d.daemon.client import DaemonError

SHOP = '''"""What a customer holds."""

import json

LIMIT = 50


class Basket:
    """Things on their way to the till."""

    def __init__(self, owner):
        self.owner = owner
        self.things = []

    def put(self, thing):
        """Lay one more thing into the basket, unless it is full."""
        if len(self.things) >= LIMIT:
            raise BasketFull(self.owner)
        self.things.append(thing)

    def total_price(self):
        """What all of it costs."""
        return sum(thing.price for thing in self.things)


class BasketFull(Exception):
    """No room for one more thing."""
'''
TILL = '''from shop.basket import Basket


def check_out(basket: Basket, discount):
    """Let the customer pay."""
    price = basket.total_price()
    return price - discount(price)
'''
TEST = """from shop.basket import Basket


def test_an_empty_basket_costs_nothing():
    assert Basket("me").total_price() == 0
"""
LONG = "def long_story():\n" + "".join(f"    step_{i} = {i}\n" for i in range(200)) + "    return step_1\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with service(tmp_path_factory.mktemp("home"), NO_DEEP) as home:
        home.ok("up")
        yield home


@pytest.fixture(scope="module")
def tree(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trees") / "tree"
    write(folder / "shop" / "basket.py", SHOP)
    write(folder / "shop" / "till.py", TILL)
    write(folder / "shop" / "long.py", LONG)
    write(folder / "tests" / "test_basket.py", TEST)
    write(folder / "notes.md", "# Weather\n\nIt rained all day, and nobody went out.\n")
    write(folder / ".env", "PASSWORD=secret\n")
    (folder / "link.py").symlink_to("/etc/hostname")
    home.ask("roots_add", paths=[str(folder)])
    home.sync()
    return folder


def refusal(home: Home, method: str, **params: Any) -> str:
    with pytest.raises(DaemonError) as refused:
        home.ask(method, **params)
    return str(refused.value)


def names(hits: list[dict[str, Any]]) -> list[str]:
    return [hit["relpath"] for hit in hits]


def test_a_name_has_those_who_define_it_and_those_who_mention_it(home, tree):
    answer = home.ask("symbols", name="total_price", root=str(tree))
    assert names(answer["definitions"]) == ["shop/basket.py"]
    assert names(answer["mentions"]) == ["shop/till.py", "tests/test_basket.py"]
    assert answer["definitions"][0]["lines"] == [21]
    assert answer["mentions"][0]["lines"] == [6]


def test_a_qualified_name_is_the_method_of_that_class(home, tree):
    answer = home.ask("symbols", name="Basket.put()", root=str(tree))
    assert [(hit["relpath"], hit["lines"]) for hit in answer["definitions"]] == [("shop/basket.py", [15])]


def test_a_name_in_another_style_is_found_when_nothing_has_the_very_spelling(home, tree):
    assert names(home.ask("symbols", name="totalPrice", root=str(tree))["definitions"]) == ["shop/basket.py"]


def test_a_language_without_the_name_has_nobody(home, tree):
    answer = home.ask("symbols", name="total_price", lang="go")
    assert (answer["definitions"], answer["mentions"]) == ([], [])


def test_a_folder_bounds_who_mentions(home, tree):
    answer = home.ask("symbols", name="Basket", root=str(tree / "tests"))
    assert (names(answer["definitions"]), names(answer["mentions"])) == ([], ["tests/test_basket.py"])


def test_k_bounds_both_lists(home, tree):
    answer = home.ask("symbols", name="total_price", root=str(tree), k=1)
    assert (len(answer["definitions"]), len(answer["mentions"])) == (1, 1)


@pytest.mark.parametrize("name", ["", "  ", "two words", "()", '"'])
def test_what_is_no_name_is_refused(home, name):
    assert "is no name" in refusal(home, "symbols", name=name)


def test_related_are_who_uses_it_and_who_is_used(home, tree):
    till = home.ask("related", path=str(tree / "shop/till.py"), start_line=4, end_line=7)
    assert till["of"]["symbol"] == "check_out"
    assert set(names(till["hits"])[:2]) == {"shop/basket.py", "tests/test_basket.py"}
    basket = home.ask("related", path=str(tree / "shop/basket.py"), start_line=21, end_line=23)
    assert "shop/till.py" in names(basket["hits"])[:2]
    shares = next(hit["explain"] for hit in basket["hits"] if hit["relpath"] == "shop/till.py")
    assert "mentions" in shares


def test_no_related_hit_is_of_the_lines_themselves(home, tree):
    path = str(tree / "shop/basket.py")
    for hit in home.ask("related", path=path, start_line=15, end_line=19, k=50)["hits"]:
        assert hit["path"] != path or hit["end_line"] < 15 or hit["start_line"] > 19


def test_related_may_be_asked_of_a_folder(home, tree):
    answer = home.ask("related", path=str(tree / "shop/basket.py"), start_line=21, root=str(tree / "tests"), k=3)
    assert names(answer["hits"]) == ["tests/test_basket.py"]


def test_context_is_the_lines_and_the_definition_around_them(home, tree):
    answer = home.ask("context", path=str(tree / "shop/basket.py"), line=18, before=2, after=1)
    assert answer["text"].split("\n") == SHOP.split("\n")[15:19]
    assert (answer["start_line"], answer["end_line"], answer["language"]) == (16, 19, "python")
    assert answer["enclosing"] == {"symbol": "Basket.put", "kind": "method", "start_line": 15, "end_line": 19}
    assert answer["fresh"]


def test_context_ends_where_the_file_ends(home, tree):
    answer = home.ask("context", path=str(tree / "shop/till.py"), line=1, before=50, after=500)
    assert (answer["start_line"], answer["end_line"], answer["text"]) == (1, 7, TILL.rstrip("\n"))
    assert answer["enclosing"] is None


def test_a_long_definition_is_known_to_its_end_from_any_of_its_lines(home, tree):
    for line in (1, 100, 202):
        around = home.ask("context", path=str(tree / "shop/long.py"), line=line)["enclosing"]
        assert around == {"symbol": "long_story", "kind": "function", "start_line": 1, "end_line": 202}


def test_what_lies_outside_the_roots_is_refused_also_through_a_link(home, tree):
    for method, line in (("context", {"line": 1}), ("related", {"start_line": 1})):
        assert "is in no root" in refusal(home, method, path="/etc/hostname", **line)
        assert "is in no root" in refusal(home, method, path=str(tree / "../../../../../../etc/hostname"), **line)
        sentence = refusal(home, method, path=str(tree / "link.py"), **line)
        assert sentence.startswith(
            f"{method}: {tree}/link.py leads to {os.path.realpath('/etc/hostname')}, which is in"
        )


def test_what_was_left_out_of_the_index_is_not_shown(home, tree):
    assert "is in the index: " in refusal(home, "context", path=str(tree / ".env"), line=1)
    assert "nothing at this path" in refusal(home, "context", path=str(tree / "gone.py"), line=1)


@pytest.mark.parametrize("line", [0, -1, 8, 10**9])
def test_a_line_that_is_not_there_is_refused_with_those_that_are(home, tree, line):
    assert "which has 1 to 7" in refusal(home, "context", path=str(tree / "shop/till.py"), line=line)


def test_a_changed_file_is_answered_as_it_was_and_said_to_be_stale(home, tree):
    path = write(tree / "late.py", "def late():\n    return 1\n")
    home.sync()
    home.ask("pause")
    path.write_text("def later():\n    return 2\n")
    answer = home.ask("context", path=str(path), line=1)
    related = home.ask("related", path=str(path), start_line=1)
    home.ask("resume")
    assert (answer["text"], answer["fresh"]) == ("def late():\n    return 1", False)
    assert not related["of"]["fresh"]


def test_the_commands_print_places_that_editors_understand(home, tree):
    said = home.ok("symbols", "total_price", "--root", ".", cwd=tree)
    assert said.splitlines() == [
        "shop/basket.py:21: Basket: def total_price(self):",
        "shop/till.py:6: check_out: price = basket.total_price()",
        'tests/test_basket.py:5: test_an_empty_basket_costs_nothing: assert Basket("me").total_price() == 0',
    ]
    assert home.ok("context", "shop/till.py:6", "-B", "0", "-A", "1", cwd=tree).splitlines() == [
        "     6>     price = basket.total_price()",
        "     7      return price - discount(price)",
    ]
    assert any(
        line.startswith("shop/till.py:") for line in home.ok("related", "shop/basket.py:21-23", cwd=tree).splitlines()
    )
    assert home.json("symbols", "total_price", "--root", str(tree))["mentions"][0]["relpath"] == "shop/till.py"


def test_a_place_without_a_line_is_wrong_usage(home, tree):
    said = home("context", "shop/till.py", cwd=tree)
    assert (said.code, "names no line" in said.err) == (2, True)
