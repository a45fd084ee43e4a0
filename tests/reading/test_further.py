import json

import pytest

from fgvr.reading.replies import parse_reply

PROSE = [
    (
        (
            "Based on the image provided, here is a breakdown of the identification:\n\n"
            "*   **Overall Appearance:** The bird is a small, stocky passerine with streaked brown plumage.\n"
            "*   **Bill:** It has a thick, conical bill.\n"
            "*   **Head:** The head shows fine streaking and no strong supercilium.\n\n"
            "Given these features, the bird is definitively a **male Corn Bunting** (*Emberiza calandra*)."
        ),
        "Corn Bunting",
    ),
    (
        "This is a **Pied Kingfisher** (*Ceryle rudis*).\n\nHere's why:\n1. **Black and white plumage**...",
        "Pied Kingfisher",
    ),
    (
        (
            "Based on the visual evidence, this bird is a **Boat-tailed Grackle**.\n\n"
            "Here are the key identifiers:\n\n*   **Iridescence:** The bird shows...\n"
            "*   **Tail:** keel-shaped.\n\nIt is differentiated from the **Common Grackle** by its larger size and "
            "from the **Great-tailed Grackle** by its rounded head."
        ),
        "Boat-tailed Grackle",
    ),
    (
        (
            "Okay, let's analyze the bird.\n\n1.  **Size & Shape:** Large gull.\n"
            "2.  **Mantle:** dark slate.\n3.  **Legs:** pink.\n\n"
            "**Ruling out others:**\n*   **Lesser Black-backed Gull:** yellow legs.\n"
            "*   **Great Black-backed Gull:** larger, pale pink legs.\n\n"
            "**Conclusion:** The combination of pink legs, a dark mantle and the Pacific location makes this a "
            "**Slaty-backed Gull** (*Larus schistisagus*)."
        ),
        "Slaty-backed Gull",
    ),
    (
        "The bird in the image is an adult **female Red-winged Blackbird (Agelaius phoeniceus)**.",
        "Red-winged Blackbird",
    ),
    ("Therefore, the exact species is the **Black-footed Albatross**.", "Black-footed Albatross"),
    ("**Species:** Hooded Warbler\n\n**Reasoning:**\n* The bird has a black hood...", "Hooded Warbler"),
    ("The bird is a **Brandt's Cormorant** (***Urile penicillatus***).", "Brandt's Cormorant"),
    ("The flower in the image is a **Hippeastrum**, commonly known as an Amaryllis.", "Amaryllis"),
    ("The flower in the image appears to be a Gazania, also known as Treasure Flower. Gazanias are...", "Gazania"),
    (
        (
            "The plant in the image is a **Cyclamen**. More specifically, it appears to be *Cyclamen persicum*, "
            "commonly known as Persian Cyclamen."
        ),
        "Persian Cyclamen",
    ),
    (
        (
            "The flower in the image is from the genus **Passiflora**, specifically **Passiflora caerulea**, "
            "commonly known as the **blue passionflower**."
        ),
        "blue passionflower",
    ),
    (
        "This flower belongs to the genus Primula. The species is most likely Primula vulgaris, the common primrose.",
        "common primrose",
    ),
    ("The image shows *Solanum viridis*.", "Solanum viridis"),
    ("The flowers in the image are irises.", "iris"),
    ("The flowers in the image are Bearded Irises (Iris germanica).", "Bearded Iris"),
    (
        "The flower is an **Anthurium andraeanum**, commonly known as the flamingo flower or laceleaf.",
        "flamingo flower",
    ),
    ('{"Corn Bunting": 0.7, "Skylark": 0.2, "Meadow Pipit": 0.1}', "Corn Bunting"),
    ('{"1": "Corn Bunting", "2": "Skylark"}', "Corn Bunting"),
    ('{"names": ["Corn Bunting", "Skylark"]}', "Corn Bunting"),
    ('{"Corn Bunting": "Emberiza calandra"}', "Corn Bunting"),
    ('{"predictions": {"first": "Corn Bunting", "second": "Skylark"}}', "Corn Bunting"),
    ('{"bird_1": "Corn Bunting", "bird_2": "Skylark"}', "Corn Bunting"),
    ('{"Corn Bunting": null, "Skylark": null}', "Corn Bunting"),
    ('{"Corn Bunting": {}}', "Corn Bunting"),
    ('{"Corn Bunting": "A stocky, streaked bird with a heavy bill"}', "Corn Bunting"),
    ('[{"Corn Bunting": 0.8}, {"Skylark": 0.1}]', "Corn Bunting"),
    (
        '{"species": {"common_name": "Corn Bunting", "scientific_name": "Emberiza calandra"}, "confidence": 0.9}',
        "Corn Bunting",
    ),
    ('```json\n[\n  "Corn Bunting",\n  "Skylark"\n]\n```', "Corn Bunting"),
    ("The flower in the image is a **Water Lily** (Nymphaea). It has...", "Water Lily"),
    ("The flower in the image is commonly known as a **Bird of Paradise** (Strelitzia reginae).", "Bird of Paradise"),
    ("This is a photograph of a Common Dandelion (Taraxacum officinale) in seed.", "Common Dandelion"),
    ("The flower shown in the image is the **Mexican aster**, also known as **Cosmos bipinnatus**.", "Mexican aster"),
    ("The flower in the picture is known scientifically as *Digitalis purpurea* and commonly as foxglove.", "foxglove"),
    ("Scientific name: Emberiza calandra", "Emberiza calandra"),
    ("Female Mallard", "Female Mallard"),
    ("Baby spinach", "Baby spinach"),
    ("Male fern", "Male fern"),
    ("The bird is a Snow Goose, blue morph.", "Snow Goose"),
    ("I'd identify this as a juvenile Herring Gull (Larus argentatus), first winter.", "Herring Gull"),
    ("<think>hmm</think>\n\nHere's my answer:\n\n**Golden Eagle**", "Golden Eagle"),
    ("Final Answer: The final answer is Golden Eagle. I hope it is correct.", "Golden Eagle"),
    ("Answer: (C) Golden Eagle", "Golden Eagle"),
    ("**Answer:** Golden Eagle (*Aquila chrysaetos*)", "Golden Eagle"),
    ("It is difficult to be certain, but the most likely candidate is the Golden Eagle.", "Golden Eagle"),
    ("The correct label would be \u201cgolden eagle\u201d.", "golden eagle"),
    ("golden eagle, aquila chrysaetos", "golden eagle"),
    ("GOLDEN EAGLE", "GOLDEN EAGLE"),
    ("It's a golden eagle!", "golden eagle"),
    ("Looks like a golden eagle to me.", "golden eagle"),
    ("I think this is a golden eagle.", "golden eagle"),
]

# variants of FGVC-Aircraft and other type codes
CODES = (
    *("707-320", "727-200", "737-200", "737-900", "747-100", "747-400", "757-300", "767-400", "777-200", "A300B4"),
    *("A310", "A320", "A330-200", "A340-600", "A380", "ATR-42", "An-12", "C-130", "C-47", "CRJ-200", "DC-10", "DC-3"),
    *("DC-9-30", "DH-82", "DHC-1", "DHC-8-100", "DR-400", "E-170", "EMB-120", "F-16A/B", "F/A-18", "Il-76", "L-1011"),
    *("MD-11", "MD-90", "PA-28", "SR-20", "Tu-134", "Yak-42", "M8", "X5", "Q400", "T-72", "B-52", "i3", "R8", "G37"),
    *("S2000", "MiG-29", "RX-7", "D850", "747-8F", "767-300ER", "G.55", "S.E.5a", "M4A3E8", "X-T4"),
)
NAMED_CODES = (
    *("BAE 146-200", "Boeing 717", "Cessna 172", "ERJ 145", "Fokker 100", "Gulfstream IV", "Hawk T1", "Model B200"),
    *("Saab 340", "Eurofighter Typhoon", "Beechcraft 1900", "Class 43", "3 Series", "EOS R5"),
    "de Havilland DHC-6 Twin Otter",
)
CARS = (
    *("AM General Hummer SUV 2000", "Aston Martin V8 Vantage Convertible 2012", "Audi S4 Sedan 2012"),
    *("BMW 3 Series Wagon 2012", "Bentley Continental Supersports Conv. Convertible 2012", "FIAT 500 Abarth 2012"),
    *("Chevrolet Corvette Ron Fellows Edition Z06 2007", "Mercedes-Benz 300-Class Convertible 1993"),
    *("Ram C/V Cargo Van Minivan 2012", "Rolls-Royce Phantom Drophead Coupe Convertible 2012"),
    "smart fortwo Convertible 2012",
)
SCRIPTS = (
    *("गौरैया", "नीलकंठ", "นกกระจอกบ้าน", "น้ำเงิน", "மயில்", "দোয়েল", "ភ្លើង", "عُصْفُور", "דוכיפת"),
    *("柴犬", "大熊猫", "鯉", "می\u200cمون", "ウエスト・ハイランド・ホワイト・テリア", "무당벌레"),
    *("Обыкновенный снегирь", "ნარინჯი", "Kookaburra"),
)


@pytest.mark.parametrize(("raw", "name"), PROSE)
def test_conclusions_and_prose(raw, name):
    assert parse_reply(raw).names[:1] == (name,)


@pytest.mark.parametrize("name", [*CODES, *NAMED_CODES])
def test_type_codes(name):
    for raw in (name, json.dumps({"name": name}), f"The aircraft is a {name}.", f"In the image is an **{name}**."):
        assert parse_reply(raw).names == (name,), raw


@pytest.mark.parametrize("name", [*CARS, *SCRIPTS])
def test_names_are_read_as_they_stand(name):
    for raw in (name, json.dumps({"name": name}), json.dumps({"name": name}, ensure_ascii=False), f"**{name}**"):
        assert parse_reply(raw).names == (name,), raw


@pytest.mark.parametrize(
    "raw",
    [
        *("Forget-me-not", "Male fern", "Baby spinach", "Let It Be", "Apache trout", "HMS Terror", "Vergissmeinnicht"),
        *("无花果", "Прострел", "Ne-m'oubliez-pas", "Forbidden rice", "Touch-me-not", "Question Mark"),
    ],
)
def test_names_with_words_of_refusals_and_errors(raw):
    assert parse_reply(raw).names == (raw,)


@pytest.mark.parametrize(
    ("raw", "name", "individual"),
    [
        ("male Corn Bunting (*Emberiza calandra*)", "Corn Bunting", "male"),
        ("An adult male Northern Pintail (*Anas acuta*) in breeding plumage", "Northern Pintail", "adult male"),
        ("Mallard (female)", "Mallard", "female"),
        ("a juvenile Herring Gull", "Herring Gull", "juvenile"),
        ("Female Mallard", "Female Mallard", ""),
        ("Male fern", "Male fern", ""),
    ],
)
def test_sex_and_age_are_kept_aside(raw, name, individual):
    parsed = parse_reply(raw)
    assert parsed.names == (name,)
    assert parsed.individual.startswith(individual)


def test_ranks():
    assert parse_reply("*Sylvia atricapilla*, commonly known as the Eurasian Blackcap").genus == "Sylvia"
    assert parse_reply("The plant is a Petunia, commonly known as garden petunia.").genus == "Petunia"
    assert parse_reply('{"genus": "Emberiza", "common_name": "Corn Bunting"}').genus == "Emberiza"
    assert parse_reply("Corn Bunting").genus is None


def test_doubtful_readings_are_marked():
    assert not parse_reply("The bird is a **Corn Bunting**.").doubtful
    assert parse_reply("Its bill is heavy and its back streaked, which **Corn Bunting** has.").doubtful
