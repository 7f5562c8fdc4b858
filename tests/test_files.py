"""Files and directories that appear whole or not at all."""

import pytest

from tf_splitting.files import appearing, write_text_atomically


def test_a_file_appears_with_its_content(tmp_path):
    write_text_atomically(tmp_path / "new" / "a.json", "text")
    assert (tmp_path / "new" / "a.json").read_text() == "text"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.json"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with appearing(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "half"


@pytest.mark.parametrize("written", [True, False])
def test_an_exception_leaves_the_old_file_and_no_debris(tmp_path, written):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted():
        with appearing(path) as temporary:
            if written:
                temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_directories_replace_directories(tmp_path):
    path = tmp_path / "saved"
    for content in ("old", "new"):
        with appearing(path) as temporary:
            (temporary / "deep").mkdir(parents=True)
            (temporary / "deep" / content).write_text(content)
    assert [p.name for p in (path / "deep").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["saved"]
