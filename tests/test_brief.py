"""What the deep model reads of a chunk: each word once, in the order of the text."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from index_kit import DEEP_DIMS, index, parsed
from lying_worker import liar

from ctx42d.indexer.brief import brief
from ctx42d.indexer.deepen import Deepener
from ctx42d.indexer.embedding import DeepSettings, EmbeddingService
from ctx42d.indexer.vectors import OWN

CODE = "def get_user(self, userId):\n    return self.users.get(userId, default=None)  # the user, or nothing\n"
WORDS = "def get user self id return users default none the or nothing"
OTHER = "00" * 32


@pytest.mark.parametrize(
    ("text", "words"),
    [(CODE, WORDS), ("HTTPServer http_server", "http server"), ("Größe größe", "größe"), ("(){};\n\t--", ""), ("", "")],
)
def test_each_word_is_read_once_where_it_comes_first(text: str, words: str) -> None:
    assert brief(text) == words


@pytest.mark.parametrize(("whole", "own"), [(False, WORDS), (True, CODE)])
def test_the_shipped_model_reads_briefly_unless_whole_texts_are_wanted_and_another_one_reads_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool, own: str
) -> None:
    read: list[str] = []
    with (
        index(tmp_path / "index", tmp_path / "own") as opened,
        EmbeddingService(command=liar(), dims=DEEP_DIMS, deep=DeepSettings(whole_texts=whole)) as service,
    ):
        embed_rows = service.embed_rows

        def recording(texts: Sequence[str]) -> list[bytes | Exception]:
            read.extend(texts)
            return embed_rows(texts)

        monkeypatch.setattr(service, "embed_rows", recording)
        other = opened.roots.add(os.fsencode(tmp_path / "other"), b"other").root_id
        opened.store.read_anew(other, OTHER)
        opened.put(b"a.py", CODE)
        opened.store.put(other, b"b.py", parsed(CODE))
        done = Deepener(opened.store, lambda: {OWN: service, OTHER: service}).run(lambda: False, lambda: None)
    assert (done, read) == (2, [own, CODE])
