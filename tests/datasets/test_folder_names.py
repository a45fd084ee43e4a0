import pytest

from fgvr.datasets.folder_names import (
    class_names,
    doubtful_classes,
    held_out,
    is_beside_photos,
    is_content,
    is_fold,
    split_folders,
    wordnet_class_name,
)


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        # an index: all have one of their own, and names differ without it
        (["001.Black_footed_Albatross", "002.Laysan_Albatross"], ["Black footed Albatross", "Laysan Albatross"]),
        (["1-Sparrow", "12 - House_Finch"], ["Sparrow", "House Finch"]),
        (["7_Oak"], ["Oak"]),
        (["1.Pug", "01.Pug", "2.Boxer"], ["Pug", "Pug", "Boxer"]),  # of two splits
        # none: what is left would be the same, in whatever case, or no name
        (["5_Dollar", "10_Dollar", "5_Yen"], ["5 Dollar", "10 Dollar", "5 Yen"]),
        (["1_kopeck", "2_Kopeck"], ["1 kopeck", "2 Kopeck"]),
        (["8_10", "8_12"], ["8 10", "8 12"]),
        (["3_", "4_"], ["3", "4"]),
        (["M6", "8_Bolt"], ["M6", "8 Bolt"]),
        # a number that several have says something else: the year, the size
        (["2012_Audi_TT", "2012_BMW_X5", "2010_Fiat"], ["2012 Audi TT", "2012 BMW X5", "2010 Fiat"]),
        (["707-320", "727-200"], ["707-320", "727-200"]),
        # WordNet ids
        (["n02085620-Chihuahua", "n02107142-Doberman"], ["Chihuahua", "Doberman"]),
        (["n02123045_tabby", "n02124075_Egyptian_cat"], ["tabby", "Egyptian cat"]),
        (["n02012849-crane", "n03126707-crane"], ["n02012849-crane", "n03126707-crane"]),
        (["n02123045", "n02124075"], ["n02123045", "n02124075"]),
        (["n02085620-Chihuahua", "Pug"], ["n02085620-Chihuahua", "Pug"]),
        (["_", "Ünlü_köpek"], ["_", "Ünlü köpek"]),
    ],
)
def test_class_names(folders, names):
    assert class_names(folders) == dict(zip(folders, names, strict=True))


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["train", "val", "test"], ["support", "val", "test"]),
        (["Training", "Testing", "Validation"], ["support", "test", "val"]),
        (["train_images", "test_images"], ["support", "test"]),
        (["TrainImages", "TESTSET", "dev-data"], ["support", "test", "val"]),
        (["trainset", "testset", "images_val"], ["support", "test", "val"]),
        (["train2017", "val2017", "test1"], ["support", "val", "test"]),
        (["trainval", "train_val", "trn"], ["support", "support", None]),
        (["cars_train", "cars_test", "cars_meta"], ["support", "test", None]),
        (["seg_train", "seg_test", "seg_pred"], ["support", "test", None]),
        (["train_station", "test_tube"], [None, None]),
        (["bullet_train", "freight train", "crash_test"], [None, None, None]),
        (["Pug", "0", "protest", "valley", "trainer", "10"], [None] * 6),
        (["traintest", "train_test"], [None, None]),
    ],
)
def test_split_folders(folders, splits):
    found = split_folders(folders)
    assert [found.get(folder) for folder in folders] == splits


def test_splits_that_are_given():
    assert split_folders(["train", "Lernen", "Prüfen"], {"Lernen": "support", "Prüfen": "test"}) == {
        "Lernen": "support",
        "Prüfen": "test",
    }


def test_folders_that_say_nothing_of_their_photos():
    assert [name for name in ("images", "Image_Data", "JPEGImages", "2750", "birds", "img2") if is_content(name)] == [
        *("images", "Image_Data", "JPEGImages", "img2")
    ]
    assert [
        name for name in ("labels", "Annotations", "label_images", "masks", "label maker") if is_beside_photos(name)
    ] == [*("labels", "Annotations", "label_images", "masks")]
    assert [name for name in ("fold_1", "Fold2", "split3", "fold", "3", "fold_mountains_1") if is_fold(name)] == [
        *("fold_1", "Fold2", "split3")
    ]


def test_lists_of_test_photos():
    names = ("test", "train_test_split", "test_list", "val", "train", "test_results", "values", "class_names", "test1")
    assert [name for name in names if held_out(name)] == ["test", "train_test_split", "test_list", "val", "test1"]


def test_wordnet_names():
    assert wordnet_class_name("n02105855-Shetland_sheepdog") == "Shetland sheepdog"
    assert wordnet_class_name("n02089078-black-and-tan_coonhound") == "black-and-tan coonhound"


@pytest.mark.parametrize(
    ("folders", "doubt"),
    [
        (["1_Pug", "Pug", "Boxer"], "'Pug' and '1 Pug' are classes of their own"),
        (["Pug", "pug"], "'Pug' and 'pug' are classes of their own"),
        (["Grey heron", "grey-heron", "Stork"], "'Grey heron' and 'grey-heron' are"),
        (["707_Boeing", "320_Airbus"], "taken for an index: '320_Airbus' is the class 'Airbus'"),
        (["1_Euro", "5_Cent"], "taken for an index: '1_Euro' is the class 'Euro'"),
        (["1_Euro", "2_Euro", "2_Cent"], ""),
        (["001.Pug", "045.Boxer"], ""),
        (["1.Pug", "2.Boxer", "4.Beagle"], ""),
        (["2012_A", "2CV", "A"], "'A' and '2012 A' are classes of their own"),
        (["Pug", "Boxer"], ""),
        ([], ""),
    ],
)
def test_what_is_doubtful_of_class_names(folders, doubt):
    said = doubtful_classes(class_names(folders))
    assert len(said) == bool(doubt)
    assert doubt in "".join(said)
