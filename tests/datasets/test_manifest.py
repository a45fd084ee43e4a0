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


def test_other_encodings_are_refused_by_name_and_read_where_they_are_named(tmp_path):
    text = "file,class_name\na.jpg,Fl\u00f8yel\n"
    with pytest.raises(FgvrError, match=r"manifest\.csv, line 2: not UTF-8.*set data\.dataset\.encoding"):
        records(tmp_path, text, encoding="latin-1")
    [record] = ManifestDataset(tmp_path, encoding="latin-1").records()
    assert record.true_name == "Fl\u00f8yel"


@pytest.mark.parametrize(
    ("separator", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-16"), (",", "utf-16"), (";", "utf-32")]
)
def test_as_spreadsheets_save_it(tmp_path, separator, encoding):
    text = "file,class_name,split\r\nx\\b.jpg,K\u00e4fer,test\r\na.jpg,,\r\n,,\r\n".replace(",", separator)
    got = records(tmp_path, text, encoding)
    assert [(r.sample_id, r.split, r.true_name) for r in got] == [
        ("a.jpg", "support", None),
        ("x/b.jpg", "test", "K\u00e4fer"),
    ]


@pytest.fixture
def photos(tmp_path):
    for name in ["train/heron/a.jpg", "train/stork/a.jpg", "test/b.jpg", "Cafe\u0301/Ma\u0308use.jpg", "c d.jpg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("written", "sample_id"),
    [
        ("ROOT/test/b.jpg", "test/b.jpg"),
        ("/home/me/birds/train/stork/a.jpg", "train/stork/a.jpg"),
        ("D:\\birds\\train\\stork\\a.jpg", "train/stork/a.jpg"),
        ("data/birds/test/b.jpg", "test/b.jpg"),
        ("../birds/test/b.jpg", "test/b.jpg"),
        ("b.jpg", "test/b.jpg"),
        ("https://example.org/birds/c%20d.jpg", "c d.jpg"),
        ("/data/upload/7/ab12cd34-b.jpg", "test/b.jpg"),
        ("Caf\u00e9/M\u00e4use.jpg", "Caf\u00e9/M\u00e4use.jpg"),
        ("Cafe\u0301/Ma\u0308use.jpg", "Caf\u00e9/M\u00e4use.jpg"),
        ("Test/B.jpg", "test/b.jpg"),
    ],
)
def test_a_path_that_others_wrote(photos, written, sample_id, caplog):
    caplog.set_level("INFO")
    [record] = records(photos, f"file\n{written.replace('ROOT', str(photos))}\n")
    assert record.sample_id == sample_id
    assert record.path.is_file()
    assert record.path.is_relative_to(photos)
    as_it_stands = "ROOT" in written or "Caf" in written
    assert ("end alike (1 of 1)" in caplog.text) != as_it_stands


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a.jpg", "row 2: 'a.jpg' may be 'train/heron/a.jpg' or 'train/stork/a.jpg'"),
        ("/home/me/none.jpg", "row 2: '/home/me/none.jpg' is not below the data set's root, and no photo"),
        ("/x/test/b.jpg\ntest/b.jpg", "row 3: 'test/b.jpg' is listed in row 2 already"),
        (
            "Cafe\u0301/Ma\u0308use.jpg\nCaf\u00e9/M\u00e4use.jpg",
            "row 3: 'Caf\u00e9/M\u00e4use.jpg' is listed in row 2",
        ),
    ],
)
def test_a_path_that_means_several_or_none(photos, lines, message):
    with pytest.raises(FgvrError, match=message):
        records(photos, f"file\n{lines}\n")


def test_a_photo_that_is_not_there_is_left_to_the_scan(photos):
    [record] = records(photos, "file\ntrain/heron/gone.jpg\n")
    assert record.path == photos / "train/heron/gone.jpg"


def test_a_root_behind_a_link(photos, tmp_path_factory):
    link = tmp_path_factory.mktemp("links") / "birds"
    link.symlink_to(photos)
    (photos / "manifest.csv").write_text(f"file\n{photos}/test/b.jpg\n{link}/c d.jpg\n", encoding="utf-8")
    assert [record.sample_id for record in ManifestDataset(link).records()] == ["c d.jpg", "test/b.jpg"]


def test_no_manifest(tmp_path):
    with pytest.raises(FgvrError, match=r"set data\.dataset to folder"):
        ManifestDataset(tmp_path).records()
