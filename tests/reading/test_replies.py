import random
import time

import pytest

from fgvr.reading.replies import parse_reply


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Siberian Husky", "Siberian Husky"),
        ("`Siberian Husky`.", "Siberian Husky"),
        ('"House Finch"', "House Finch"),
        ("\u201cHouse Finch\u201d", "House Finch"),
        ("Label: House Finch", "House Finch"),
        ("Best fine-grained class label: **House Finch**", "House Finch"),
        ("Sure! The bird is a House Finch.", "House Finch"),
        ("royal_tern", "royal tern"),
        ("a beagle", "beagle"),
        ("St. Bernard", "St. Bernard"),
        ("Great black-backed gull.", "Great black-backed gull"),
        ("Lily of the valley.", "Lily of the valley"),
        ("Sind sparrow.", "Sind sparrow"),
        ("Fish and chips with mushy peas.", "Fish and chips with mushy peas"),
        ("Bouvier des Flandres.", "Bouvier des Flandres"),
        ("Perro de Presa Canario.", "Perro de Presa Canario"),
        ("M\u00e9sange de l'est.", "M\u00e9sange de l'est"),
        ("Io moth.", "Io moth"),
        ("Das ist ein **Dackel**.", "Dackel"),
        ("Anna\u00b4s Hummingbird", "Anna's Hummingbird"),
        ("Anna\u02bcs Hummingbird", "Anna's Hummingbird"),
        ("Black\u2011footed Albatross", "Black-footed Albatross"),
        ("Sibe\u00adrian Husky", "Siberian Husky"),
        ("Orange", "Orange"),
        ("Red Fox", "Red Fox"),
        ("Common Tern", "Common Tern"),
        ("Tree Swallow", "Tree Swallow"),
        ("<think>a sparrow?</think><answer>House Finch</answer>", "House Finch"),
        ("<b>House Finch</b> <script>alert(1)</script>", "House Finch"),
        ("House Finch\n\nThis bird has a red head.", "House Finch"),
        ("House Finch\n- Red head\n- Brown back", "House Finch"),
        ("House Finch - a small bird", "House Finch"),
        ("Yoghurt, natural", "Yoghurt"),
        ("Maltese dog", "Maltese"),
        ("Hot dog", "Hot dog"),
        ("Sand cat.", "Sand cat"),
        ("Secretary bird", "Secretary bird"),
        ("Balloon flower", "Balloon flower"),
        ("Bird of Paradise flower", "Bird of Paradise"),
        ("A close-up photo of a Pug.", "Pug"),
        ("A Siamese cat sitting on a sofa.", "Siamese"),
        ("a plate of spaghetti carbonara", "spaghetti carbonara"),
        ("Probably a Pug?", "Pug"),
        ("Pug: 95%", "Pug"),
        ("B. Pug", "Pug"),
        ("The correct answer is (B) Pug", "Pug"),
        ("Option 2: Pug", "Pug"),
        ("E. coli", "E. coli"),
        ("| Breed | Pug |\n|---|---|\n| Coat | fawn |", "Pug"),
        ("Final Answer\n\nPug", "Pug"),
        ("# Pug\n\nThe Pug is a small dog.", "Pug"),
        ("Robin (European Robin)", "European Robin"),
        ("Dingo (Canis lupus dingo)", "Dingo"),
        ("$\\boxed{\\text{Royal Tern}}$", "Royal Tern"),
        ("First \\boxed{Pug}, no: \\boxed{Boxer}", "Boxer"),
        ("Bernese mountain dog", "Bernese mountain dog"),
        ("Australian Cattle Dog", "Australian Cattle Dog"),
        ("\u897f\u4f2f\u5229\u4e9a\u96ea\u6a47\u72ac", "\u897f\u4f2f\u5229\u4e9a\u96ea\u6a47\u72ac"),
    ],
)
def test_short_replies(raw, name):
    parsed = parse_reply(raw)
    assert (parsed.names, parsed.flag) == ((name,), "")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("The dog in the image appears to be a **Whippet**. **Coat Color:** fawn.", "Whippet"),
        ("The small dog here resembles a Bichon Frise. Its coat is white.", "Bichon Frise"),
        ("The pet is a dog, specifically a Boxer.", "Boxer"),
        ("This is a cat of the breed known as the Russian Blue.", "Russian Blue"),
        ("The dog is a Kelpie, specifically an Australian Kelpie.", "Australian Kelpie"),
        ("The dog is a Kelpie, specifically its coat is black.", "Kelpie"),
        ("It is a **Shearwater**. It could be a Sooty Shearwater.", "Sooty Shearwater"),
        ('This is a West Highland White Terrier, often referred to as a "Westie".', "West Highland White Terrier"),
        ("It is a **Miniature Pinscher (Min Pin)**, a lively dog.", "Miniature Pinscher"),
        ("The dogs in the image are Beagles.", "Beagle"),
        ("The image shows two dogs that appear to be Siberian Huskies.", "Siberian Husky"),
        ("The birds in the photo are House Finches.", "House Finch"),
        ("The dog appears to be a Bluetick Coonhound puppy.", "Bluetick Coonhound"),
        ("The image shows a puppy of the Bernese Mountain Dog breed.", "Bernese Mountain Dog"),
        ("The pet is a Siamese cat. It has blue eyes.", "Siamese"),
        ("The dog is a Black and Tan Coonhound and has long ears.", "Black and Tan Coonhound"),
        ("The pet is a beagle, a breed of dog.", "beagle"),
        ("The bird shown is not a Raven but a Common Grackle.", "Common Grackle"),
        (
            "It is a **Schnauzer**. On closer inspection, it is a **Silky Terrier**.",
            "Silky Terrier",
        ),
        ("I cannot see well, however it is most likely a Great Shearwater.", "Great Shearwater"),
        ("It isn't possible to be sure. Based on its bill, the bird is likely a Herring Gull.", "Herring Gull"),
        ("### Breed Identification\n\nThe dog is a Pug.", "Pug"),
        ("Image Analysis\n\nThe dog is a Pug.", "Pug"),
        ("Great question. The dog is a Pug.", "Pug"),
        ("Most likely a Pug. The face is flat.", "Pug"),
        ("The dog is a Great Pyrenees. These traits are consistent with Great Pyrenees.", "Great Pyrenees"),
        ("### Key features\n- **Coat**: short\n\n**Basenji**", "Basenji"),
        ("The image showcases the Pug. It is black.", "Pug"),
        ("The image contains a Pug dog.", "Pug"),
        ("This photo captures a Red Fox in the snow.", "Red Fox"),
        ("The image shows the rear view of a white Sprinter van. It is not possible to say more.", "Sprinter van"),
        ("The flower is a Passion flower.", "Passion flower"),
        ("Based on its markings, I would classify this as a Pug.", "Pug"),
        ("It looks like you've shared a picture of a Pug!", "Pug"),
        ("**Pug**\n\n*Confidence: 90%*", "Pug"),
        ("The dog is a small white one. **Similar breeds:** many. This looks like a **Maltese**.", "Maltese"),
    ],
)
def test_prose(raw, name):
    parsed = parse_reply(raw)
    assert (parsed.names, parsed.flag) == ((name,), "")


def test_breeds_that_are_only_compared_are_no_names():
    raw = (
        "The dog in the photo is a **Saluki**.\n\n### Similar breeds\n- **Borzoi**: larger.\n- **Whippet**: small.\n\n"
        "Unlike the Greyhound, it has feathered ears. Afghan Hounds are shaggier."
    )
    assert parse_reply(raw).names == ("Saluki",)


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ("1. Royal Tern\n2. Elegant Tern", ("Royal Tern", "Elegant Tern")),
        ("My candidates:\n- Royal Tern\n- **Elegant Tern**\n- royal tern", ("Royal Tern", "Elegant Tern")),
        ("Royal Tern or Elegant Tern. Both have a crest.", ("Royal Tern", "Elegant Tern")),
        ("Royal Tern or Elegant Tern", ("Royal Tern", "Elegant Tern")),
        ("The bird is a Royal Tern or an Elegant Tern.", ("Royal Tern", "Elegant Tern")),
        ("The bird is a Royal Tern. It could also be an Elegant Tern.", ("Royal Tern", "Elegant Tern")),
        ("The dog on the left is a Pug. The dog on the right is a Boxer.", ("Pug", "Boxer")),
        ('{"1": "Royal Tern", "2": "Elegant Tern"}', ("Royal Tern", "Elegant Tern")),
        ('Here you are:\n```json\n["Royal Tern", "Elegant Tern"]\n```', ("Royal Tern", "Elegant Tern")),
        ('{"predictions": [{"label": "Royal Tern", "score": 0.8}, {"label": "Elegant Tern"}]}', None),
        ('{"species": "bird", "common_name": "Royal Tern", "alternatives": ["Elegant Tern", "bird"]}', None),
        ('{"file_name": "a b.jpg", "label": "Royal Tern", "other": "c"}', ("Royal Tern",)),
        ('{"breed": "Royal Tern", "alternatives": ["Elegant Tern", "Cas', ("Royal Tern",)),
        ('{"make": "Acura", "model": "RL", "year": 2009}', ("Acura RL 2009",)),
    ],
)
def test_several_names_and_json(raw, names):
    names = names or ("Royal Tern", "Elegant Tern")
    parsed = parse_reply(raw)
    assert (parsed.names, parsed.alternatives, parsed.flag) == (names, (), "")
    assert len(parsed.scientific_names) == len(parsed.names)
    first = parse_reply(raw, first_only=True)
    assert (first.names, first.alternatives, first.flag) == (names[:1], names[1:], "")
    assert first.scientific_names == parsed.scientific_names[:1]


@pytest.mark.parametrize(
    ("raw", "confidence", "alternatives"),
    [
        ('{"common_name": "Pug", "confidence": 0.9, "alternatives": ["Boxer"]}', 0.9, ("Boxer",)),
        ('Here is the JSON: {"common_name": "Pug", "confidence": 90, "alternatives": []}', 0.9, ()),
        ('Sure:\n```json\n{"common_name": "Pug", "confidence": "90%", "alternatives": "Boxer"}\n```', 0.9, ("Boxer",)),
        ('{"common_name": "Pug", "confidence": "high (90 %)", "scientific_name": "unknown"}', 0.9, ()),
        ('{"common_name": "Pug", "confidence": "0,9", "scientific_name": "Unknown species"}', 0.9, ()),
        ('{"common_name": "Pug", "confidence": "high", "scientific_name": null, "alternatives": "none"}', None, ()),
        ('{"common_name": "Pug", "confidence": true, "alternatives": null}', None, ()),
        ('{"common_name": "Pug", "confidence": 1, "alternatives": {"1": "Boxer", "2": 3}}', 1, ("Boxer",)),
        ('{"common_name": "Pug", "confidence": "1 %", "alternatives": [[["Boxer"]]]}', 0.01, ("Boxer",)),
        ('{"common_name": "Pug", "confidence": 140}', None, ()),
        ('{"common_name": "Pug", "confidence": -0.5}', None, ()),
        ('{"common_name": "Pug", "confidence": NaN}', None, ()),
        ('{"common_name": "Pug", "confidence": {"value": 0.9}}', None, ()),
        ('{"answer": "The dog is a Pug.", "probability": 0.9, "alternative_names": ["Boxer"]}', 0.9, ("Boxer",)),
        ('{"prediction": {"common_name": "Pug", "score": 3}, "confidence": 0.9}', 0.9, ()),
        ('{"prediction": {"common_name": "Pug", "confidence": 0.9}, "confidence": 0.2}', 0.9, ()),
        ('[{"common_name": "Pug", "confidence": 0.9}, {"common_name": "Boxer", "confidence": 0.1}]', 0.9, ("Boxer",)),
        ('{"common_name": "Pug", "alternatives": [{"common_name": "Boxer", "confidence": 0.1}]}', None, ("Boxer",)),
        ('{"common_name": "dog", "confidence": 0.9, "alternatives": ["Pug"]}', None, ()),
        ('[{"common_name": "Pug", "confidence": 0.9}, {"common_name": "Boxer", "conf', 0.9, ("Boxer",)),
        ('{"common_name": "Pug", "confidence": 0.9, "alternatives": ["Box', 0.9, ()),
        ('{"common_name": "Pug", "confidence": 8', None, ()),
        ('{"common_name": "Pug"', None, ()),
        ('["Pug", "Boxer", "Shar', None, ("Boxer",)),
        ('{"common_name": "Pug", "alternatives": ["Boxer",], "confidence": 0.9,}', 0.9, ("Boxer",)),
        ('{"common_name": "Pug", "why": "a "flat" face, yes", "alternatives": [{"common_name": "Boxer"}]}', None, ()),
        ("{'common_name': 'Pug', 'why': 'it\\'s flat'}", None, ()),
        ('The dog is a Pug. {"confidence": 0.9}', None, ()),
        ("Pug\nConfidence: 90%", 0.9, ()),
        ("Breed: Pug\n**Confidence:** 90%", 0.9, ()),
        ("Pug or Boxer", None, ("Boxer",)),
    ],
)
def test_structured_replies(raw, confidence, alternatives):
    parsed = parse_reply(raw, first_only=True)
    assert (parsed.names, parsed.scientific_names, parsed.flag) == (("Pug",), (None,), "")
    assert parsed.confidence == pytest.approx(confidence)
    assert parsed.alternatives == alternatives
    assert parse_reply(raw).names == ("Pug", *alternatives)


def test_a_latin_name_is_the_answer_where_there_is_no_other():
    for common in ("null", '"unknown"', '""'):
        parsed = parse_reply(f'{{"common_name": {common}, "scientific_name": "Larus argentatus"}}')
        assert (parsed.names, parsed.scientific_names) == (("Larus argentatus",), ("Larus argentatus",))
    assert parse_reply('{"breed": null, "scientific_name": "Canis lupus familiaris"}').flag == "refusal"
    assert parse_reply('{"common_name": "Dog", "scientific_name": "Canis lupus familiaris"}').flag == "generic"


@pytest.mark.parametrize(
    "raw",
    [
        "House Finch (Haemorhous mexicanus)",
        "House Finch, Haemorhous mexicanus",
        "*Haemorhous mexicanus* (House Finch)",
        "The bird is a **House Finch** (*Haemorhous mexicanus*), often seen in towns.",
        "The bird is a **House Finch (Haemorhous mexicanus)**.",
        "The bird is a House Finch (*Haemorhous mexicanus*). It sings.",
        "Common name: House Finch\nScientific name: Haemorhous mexicanus",
        '{"common_name": "House Finch", "scientific_name": "Haemorhous mexicanus"}',
        "Haemorhous mexicanus (House Finch)",
        "**Haemorhous mexicanus** (House Finch)",
        "Haemorhous mexicanus (the House Finch, male)",
        "*Haemorhous mexicanus* (commonly known as the House Finch)",
        "The bird is a Haemorhous mexicanus (House Finch). It sings.",
    ],
)
def test_latin_names_are_kept_apart(raw):
    parsed = parse_reply(raw)
    assert (parsed.names, parsed.scientific_names) == (("House Finch",), ("Haemorhous mexicanus",))


@pytest.mark.parametrize(
    ("raw", "name", "scientific"),
    [
        ("Haemorhous mexicanus (House finch)", "House finch", "Haemorhous mexicanus"),
        ("*Haemorhous mexicanus* (house finch)", "house finch", "Haemorhous mexicanus"),
        ("Canis lupus familiaris (Siberian Husky)", "Siberian Husky", "Canis lupus familiaris"),
        ("American bison (Bison bison)", "American bison", "Bison bison"),
        ("Common loon (Great Northern Diver)", "Common loon", None),
        ("Lesser panda (Red Panda)", "Lesser panda", None),
        ("Passer domesticus (Linnaeus, 1758)", "Passer domesticus", None),
        ("Buteo jamaicensis (light morph)", "Buteo jamaicensis", None),
        ("Buteo jamaicensis (Juvenile)", "Buteo jamaicensis", None),
        ("*Buteo jamaicensis*", "Buteo jamaicensis", "Buteo jamaicensis"),
    ],
)
def test_which_of_two_names_is_the_latin_one(raw, name, scientific):
    parsed = parse_reply(raw)
    assert (parsed.names, parsed.scientific_names) == ((name,), (scientific,))


def test_brackets_that_hold_no_species_are_no_latin():
    for raw in ("Pug (also known as Mops)", "Pug (Carlin)", "Pug (Canis sp.)"):
        assert parse_reply(raw).scientific_names == (None,)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Acura RL 2009", "Acura RL 2009"),
        ("Acura RL, 2009", "Acura RL 2009"),
        ("2009 Acura RL", "Acura RL 2009"),
        ("The car is a 2009 Acura RL. It has four doors.", "Acura RL 2009"),
        ("The car is an Acura RL. It appears to be from the 2009 model year.", "Acura RL 2009"),
        ("The car is an Acura RL. It is from the 2009 to 2012 model years.", "Acura RL"),
        ("The car is an Acura RL. It is a 2009 model, or of the 2011 model year.", "Acura RL"),
        ("The car is an Acura RL, first made in 1995.", "Acura RL"),
        ("The vehicle in the image is an Audi 200 (C3) sedan.", "Audi 200"),
        ("The car in the image is a Volkswagen Golf, specifically the seventh generation.", "Volkswagen Golf"),
    ],
)
def test_cars(raw, name):
    assert parse_reply(raw).names == (name,)


@pytest.mark.parametrize(
    ("raw", "flag"),
    [
        ("", "empty"),
        (" \n\u200b ", "empty"),
        ("I can't identify the bird.", "refusal"),
        ("I\u2019m sorry, but it is not possible to determine the breed from this image.", "refusal"),
        ("To identify the species, I would need a clearer photo.", "refusal"),
        ("None", "refusal"),
        ("null", "refusal"),
        ("{}", "refusal"),
        ('{"breed": null}', "refusal"),
        ('Here is the JSON:\n{"common_name": null, "confidence": 0.9}', "refusal"),
        ("dog", "generic"),
        ("Domestic cat", "generic"),
        ("bird", "generic"),
        ("Terrier.", "generic"),
        ("mixed breed", "generic"),
        ("German Shepherd mix", "generic"),
        ("a type of warbler", "generic"),
        ("tabby cat", "generic"),
        ("Unknown", "generic"),
        ("The pet in the image is a domestic cat. It seems to be a tabby cat.", "generic"),
        ("The bird in the image is a type of grackle.", "generic"),
        ('{"label": "dog"}', "generic"),
        ("x" * 61, "unparsed"),
        ("# Coat\n\nThe animal is a small dog.", "generic"),
        ("one two three four five six seven eight nine", "unparsed"),
        ("<script>alert(1)</script>", "empty"),
        ("https://example.org/dog", "unparsed"),
        ('{"breed": "Bor', "unparsed"),
        ("\ud83d", "empty"),
        ('"\ud83d"', "unparsed"),
    ],
)
def test_replies_without_a_name_are_flagged(raw, flag):
    parsed = parse_reply(raw)
    assert (parsed.names, parsed.scientific_names, parsed.flag) == ((), (), flag)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Pug \ud83d", "Pug"),
        ("The dog is a **Pug\udc36**.", "Pug"),
        ('{"breed": "Pug \\ud83d"}', "Pug"),
        ('{"breed\\ud83d": "Boxer", "name": "Pug"}', "Pug"),
        ('{"breed": "Anna\\u2019s Hummingbird"}', "Anna's Hummingbird"),
        ('{"breed": "Pug\\u200b"}', "Pug"),
    ],
)
def test_characters_that_cannot_be_shown_are_left_out(raw, name):
    assert parse_reply(raw).names == (name,)


HOSTILE = [
    "*", "**", "***a", "(", "[", "[a](", "<", "<a", "</think>", "<think>", "<script>", "{", '{"a":', "[[", "`", "```",
    '"', "#", "**a**:", "**a** ", "_", "__a", ". ", "! ", '?" ', "'", "\u200b", "\ufdfa", "\ud83d", "a: ", "a:=",
    "&lt;", "\n", "- a\n", "A ", "Aa ", "() ", "(a) ", "is a ", "the ", "a, ", "or ", "not a ", "likely ", "image ",
    "appears ", "specifically ", "appears most ", "Aus aus (B ", "es handelt ", "(known as ", "The dog is a **",
    "The dog is a B or a ", "It is A B C D ", "model year ", "2012 model ", "1. ", "model year 2012 to ",
    "name: a\n", "- **A**: b\n", "[{", '["a",', '{"a": {"a": 1}, ', '\\"', "\\", "{'a': '", "{ ", ",]", "\\boxed{",
    "\\boxed{\\text{a", "confidence: 1\n", "close-up photo of a ", "photo of ", "provided an image of a ",
    "A (b A), ", "1%", "A bird ", "B. ", "(A) ", "|a", "|a|b|\n", "# A\n", "sitting on ", "plate of ",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_replies_take_little_time(unit):
    for raw in (unit * 20_000, "The dog is a " + unit * 20_000):
        start = time.process_time()
        parse_reply(raw)
        assert time.process_time() - start < 1  # 0.1 s at worst where this was written


def test_whatever_comes_names_are_clean():
    chance = random.Random(0)
    units = [*HOSTILE, "Pug ", "The dog is a Pug", '{"name": "Pug", "confidence": ', "99", "}"]
    for _ in range(2_000):
        parsed = parse_reply("".join(chance.choices(units, k=chance.randint(1, 12))))
        assert bool(parsed.names) == (parsed.flag == "")
        assert len(parsed.names) == len(parsed.scientific_names)
        assert parsed.confidence is None or 0 <= parsed.confidence <= 1
        for name in parsed.names:
            assert len(name) <= 60
            assert len(name.split()) <= 8
            assert not set(name) & set('<>{}[]()*`"#|\n\\')


def test_only_the_beginning_of_a_reply_is_read():
    assert parse_reply("-" * 20_000 + " Pug").names == ()
