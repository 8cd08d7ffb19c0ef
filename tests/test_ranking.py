"""Fusion and what a reader of code knows: every rule as a pair of candidates and which of them comes first."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctx42d.indexer.question import understand
from ctx42d.indexer.ranking import FURTHER_HIT, LITERAL, TIER_WEIGHTS, Candidate, Ranked, in_proportion, rank


def candidate(
    chunk_id: int,
    relpath: str = "src/module.py",
    *,
    file_id: int | None = None,
    symbol: str = "",
    kind: str = "",
    defines: tuple[str, ...] = (),
    **ranks: int,
) -> Candidate:
    file = chunk_id if file_id is None else file_id
    strengths = {tier: 20 / (20 + at) for tier, at in (ranks or {"lexical": 5, "static": 5}).items()}
    return Candidate(chunk_id, file, relpath, "python", symbol, kind, defines, strengths)


def order(question: str, *candidates: Candidate) -> list[int]:
    return [ranked.candidate.chunk_id for ranked in rank(understand(question), candidates)]


def test_a_definition_comes_before_its_uses_although_they_rank_higher() -> None:
    use = candidate(1, "src/app.py", lexical=1, static=1)
    definition = candidate(2, "src/users.py", symbol="get_user", defines=("get_user",), lexical=9, static=12)
    assert order("get_user", use, definition) == [2, 1]
    assert order("where is getUser defined", use, definition) == [2, 1]
    assert order("delete all sessions", use, definition) == [1, 2]


def test_a_chunk_that_says_it_word_for_word_comes_first_however_it_is_named() -> None:
    literal = candidate(1, "src/zz.py", lexical=20)._replace(literal=0.8)
    assert order("raise ValueError(no such user)", literal, candidate(2, "src/user.py", lexical=1, static=1)) == [1, 2]
    shares = rank(understand("raise ValueError(no such user)"), [literal])[0].shares
    assert shares["literal"] == pytest.approx(0.8 * LITERAL)


def test_an_identifier_in_a_sentence_is_meant_as_it_is_written() -> None:
    has_it, resembles = candidate(1, lexical=4), candidate(2, static=1)
    assert order("why is get_user slow today", has_it, resembles) == [1, 2]
    assert order("why is everything slow today", has_it, resembles) == [1, 2]
    has_it, resembles = candidate(1, lexical=30), candidate(2, static=5)
    assert order("why is get_user slow today", has_it, resembles) == [1, 2]
    assert order("why is everything slow today", has_it, resembles) == [2, 1]


def test_of_a_sentence_the_model_knows_more_than_words_that_are_the_same() -> None:
    has_words, answers = candidate(1, lexical=1), candidate(2, deep=2)
    assert order("how do I get rid of repeated numbers", has_words, answers) == [2, 1]
    assert order("get_numbers", has_words, answers) == [1, 2]


def test_a_word_of_a_sentence_that_happens_to_be_a_name_is_no_name() -> None:
    short = candidate(1, "src/zz.py", defines=("get",))
    telling = candidate(2, "src/zz.py", defines=("connection_pool",))
    assert order("get the connection_pool", short, telling) == [2, 1]
    alone = rank(understand("get"), [short])[0]
    among = rank(understand("get the connection_pool"), [short])[0]
    assert alone.shares["definition"] > 0
    assert "definition" not in among.shares


@pytest.mark.parametrize(
    "path",
    ["tests/test_users.py", "src/users_test.go", "test/users.rb", "src/__tests__/users.js", "users.spec.ts",
     "src/UserTest.java", "pkg/testing/users.py", "spec/users_spec.rb"],
)  # fmt: skip
def test_tests_are_behind_implementations_unless_asked_for(path: str) -> None:
    test = candidate(1, path, lexical=3, static=3)
    code = candidate(2, "src/accounts.py", lexical=4, static=4)
    assert order("find a person by address", test, code) == [2, 1]
    assert order("tests that find a person by address", test, code) == [1, 2]


@pytest.mark.parametrize(
    "path", ["src/contest.py", "src/attestation.py", "latest/users.py", "src/inspect.py", "src/specific.py"]
)
def test_a_path_that_only_contains_the_letters_is_no_test(path: str) -> None:
    assert "behind" not in rank(understand("find a person"), [candidate(1, path)])[0].shares


def test_documentation_is_behind_code_unless_asked_for() -> None:
    docs = candidate(1, "docs/users.md", kind="section", lexical=3, static=3)
    code = candidate(2, "src/accounts.py", lexical=4, static=4)
    assert order("find a person", docs, code) == [2, 1]
    assert order("tutorial: find a person", docs, code) == [1, 2]


def test_a_file_named_as_the_question_says_comes_first() -> None:
    plain = candidate(1, "src/base.py")
    named = candidate(2, "src/connection_pool.py")
    folder = candidate(3, "connection/base.py")
    assert order("how does the connection pool work", plain, named, folder) == [2, 3, 1]


def test_a_symbol_that_says_the_questions_words_comes_first() -> None:
    plain = candidate(1, symbol="Base.run", file_id=7)
    saying = candidate(2, symbol="Pool.acquireConnection", file_id=7)
    assert order("acquire a connection", plain, saying) == [2, 1]


def test_hits_in_one_file_support_each_other() -> None:
    lone = candidate(1, "src/x.py", file_id=1, lexical=4)
    together = [candidate(i, "src/y.py", file_id=2, lexical=4) for i in (2, 3)]
    assert order("anything at all", lone, *together) == [2, 1, 3]


def test_further_hits_of_a_file_come_behind_the_first_ones_of_others() -> None:
    crowd = [candidate(i, "src/x.py", file_id=1, lexical=i, static=i) for i in (1, 2, 3)]
    assert order("anything at all", *crowd, candidate(9, "src/y.py", lexical=4, static=4)) == [1, 9, 2, 3]
    shares = rank(understand("anything at all"), crowd)[1].shares
    whole = sum(value for name, value in shares.items() if name != "further")
    assert shares["further"] == pytest.approx(whole * (FURTHER_HIT - 1))


@pytest.mark.parametrize("name", ["_decoders", "decode", "decoding"])
def test_a_name_in_another_form_of_the_questions_word_is_as_good(name: str) -> None:
    assert order("where are responses decoded", candidate(1, "src/base.py"), candidate(2, f"src/{name}.py")) == [2, 1]


def test_the_start_of_a_long_word_names_it() -> None:
    plain = candidate(1, "src/base.py")
    assert order("how does authentication work", plain, candidate(2, "src/auth.py")) == [2, 1]
    assert order("how does authentication work", plain, candidate(2, "src/au.py")) == [1, 2]


def test_a_section_with_the_name_of_a_thing_does_not_define_it() -> None:
    section = candidate(1, "src/users.md", kind="section", defines=("get_user",))
    assert "definition" not in rank(understand("get_user"), [section])[0].shares


def test_a_chunk_found_by_all_tiers_beats_one_found_by_one() -> None:
    assert order("zzz", candidate(1, lexical=1), candidate(2, lexical=3, static=3, deep=3)) == [2, 1]


def test_ties_are_broken_the_same_way_each_time() -> None:
    candidates = [candidate(i, f"src/{'abc'[i % 3]}.py", file_id=1, lexical=1) for i in (5, 3, 9, 1)]
    assert order("zzz", *candidates) == order("zzz", *reversed(candidates)) == [1, 3, 5, 9]


def test_nothing_found_is_nothing_ranked() -> None:
    assert rank(understand("anything"), []) == []


def test_a_tiers_share_is_what_it_thinks_of_the_chunk() -> None:
    shares = rank(understand("zzz"), [candidate(1, lexical=1, deep=10)])[0].shares
    assert shares["lexical"] == pytest.approx(TIER_WEIGHTS["lexical"] * 20 / 21)
    assert shares["deep"] == pytest.approx(TIER_WEIGHTS["deep"] * 20 / 30)
    assert "static" not in shares


def test_each_tier_is_measured_by_its_own_best_and_last() -> None:
    assert in_proportion("lexical", []) == []
    for tier in ("lexical", "static"):
        assert in_proportion(tier, [(7, 3.5)])[0] == (7, 1.0)
        strengths = [strength for _, strength in in_proportion(tier, [(1, 8.0), (2, 4.0), (3, 2.0)])]
        assert strengths[0] == 1.0 > strengths[1] > strengths[2] > 0.0
    assert in_proportion("deep", [(1, 0.5), (2, 0.5)]) == [(1, 1.0), (2, 1.0)]
    assert [one for one, _ in in_proportion("static", [(9, 0.2), (4, -0.1)])] == [9, 4]


def test_a_question_without_words_ranks_by_the_tiers_alone() -> None:
    assert order("???", candidate(1, lexical=2), candidate(2, lexical=1)) == [2, 1]


NAMES = st.sampled_from(
    ["", "get_user", "Client.send", "tests/test_a.py", "docs/x.md", "src/user.py", "a\0b", "🦊.py", "("]
)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        chunk_id=st.integers(1, 10**6),
        file_id=st.integers(1, 5),
        relpath=NAMES,
        language=st.just("python"),
        symbol=NAMES,
        kind=st.sampled_from(["", "function", "section"]),
        defines=st.lists(NAMES, max_size=3).map(tuple),
        strengths=st.dictionaries(st.sampled_from(["lexical", "static", "deep"]), st.floats(0.01, 1.0), min_size=1),
        literal=st.floats(0.0, 1.0),
    ),
    max_size=8,
    unique_by=lambda found: found.chunk_id,
)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.sampled_from(["get_user", "test get_user", "docs user send", "client"]), CANDIDATES)
def test_the_shares_always_add_up_to_the_score(question: str, candidates: list[Candidate]) -> None:
    ranked = rank(understand(question), candidates)
    assert sorted(found.candidate.chunk_id for found in ranked) == sorted(c.chunk_id for c in candidates)
    assert all(sum(found.shares.values()) == pytest.approx(found.score) for found in ranked)
    assert all(found.score > 0 for found in ranked)
    scores = [found.score for found in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(isinstance(found, Ranked) for found in ranked)


def test_a_test_with_a_word_that_nobody_knows_is_before_code_that_only_resembles_it() -> None:
    question = replace(understand("zqbcdfgh"), unheard_of=True)
    found = [candidate(1, "src/near.py", deep=0), candidate(2, "tests/test_it.py", lexical=0, deep=40)]
    assert [ranked.candidate.chunk_id for ranked in rank(question, found)] == [2, 1]


@pytest.mark.parametrize(("deep_share", "first"), [(0.0, 1), (0.3, 1), (1.0, 2)])
def test_a_chunk_that_the_model_has_not_read_yet_is_not_put_behind_for_that(deep_share: float, first: int) -> None:
    unread, read = candidate(1, static=1), candidate(2, static=30, deep=1)
    ranked = rank(understand("where is the cache emptied"), [unread, read], deep_share)
    assert ranked[0].candidate.chunk_id == first
