import pytest

from fgvr.datasets.manifest import ManifestDataset
from fgvr.errors import FgvrError


def records(tmp_path, text, encoding="utf-8"):
    (tmp_path / "manifest.csv").write_bytes(text.encode(encoding))
    return ManifestDataset(tmp_path).records()


def test_columns(tmp_path):
    got = records(tmp_path, "\ufefffile,class_name,split\nb.jpg,Pug,test\na/c.jpg,,train\n")
    assert [(r.sample_id, r.split, r.true_name) for r in got] == [
        ("a/c.jpg", "support", None),
        ("b.jpg", "test", "Pug"),
    ]
    assert got[0].path == tmp_path / "a/c.jpg"


def test_a_name_with_a_comma_in_quotes(tmp_path):
    (record,) = records(tmp_path, 'file, class_name,split\nx\\a.jpg,"Heron, grey",\n')
    assert (record.sample_id, record.true_name, record.split) == ("x/a.jpg", "Heron, grey", "support")


def test_only_files(tmp_path):
    (record,) = records(tmp_path, "file\na.jpg\n")
    assert (record.split, record.true_name) == ("support", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,class\na.jpg,Pug\n", "row 1: the columns are image, class; a column 'file' is needed"),
        ("", "manifest.csv is empty"),
        ("file\n", "lists no photos"),
        ("file\na.jpg\nb.jpg\na.jpg\n", "row 4: 'a.jpg' is listed in row 2 already"),
        ("file\n./a.jpg\na.jpg\n", "row 3: 'a.jpg' is listed in row 2 already"),
        ("file,class_name\n,Pug\n", "row 2: the column 'file' is empty"),
        ("file,split\na.jpg,holdout\n", "row 2: the split is 'holdout'; expected support, val or test"),
        ("file\n../a.jpg\n", "row 2: '../a.jpg' is not below the data set's root"),
        ("file\n/etc/a.jpg\n", "row 2: '/etc/a.jpg' is not below"),
        ("file,class_name\na.jpg,Heron, grey\n", 'row 2: 3 cells.*in quotes: a.jpg,"Heron, grey"'),
        ("file,class_name\na.jpg\n", "row 2: 1 cells, but the header has 2"),
        ('file,class_name\na.jpg,"Heron\nb.jpg,Pug\n', "row 2: not CSV"),
        ('file,class_name\na.jpg,"Heron\nb.jpg,Pug"\n', "row 2: the column 'class_name' holds a line break"),
        ("file,class_name,class_name\na.jpg,Pug,Owl\n", "row 1: column 'class_name' is there twice"),
        ("file,class_name\n\na.jpg," + 140_000 * "x", "row 3: not CSV"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, text, message):
    with pytest.raises(FgvrError, match=message):
        records(tmp_path, text)


def test_other_encodings_are_refused_by_name(tmp_path):
    with pytest.raises(FgvrError, match=r"manifest\.csv, line 2: not UTF-8"):
        records(tmp_path, "file,class_name\na.jpg,Fl\u00f8yel\n", encoding="latin-1")


def test_no_manifest(tmp_path):
    with pytest.raises(FgvrError, match=r"set data\.dataset to folder"):
        ManifestDataset(tmp_path).records()
