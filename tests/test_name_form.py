"""scripts/name_form.py, which tells what sACC owes to the form of names."""

import json

SCRIPT = "name_form"


def test_names_with_and_without_years_and_bodies(script, tmp_path, capsys):
    assert script.added("Audi R8 Coupe 2012", "Audi R8") == {"Coupe", "2012"}
    assert script.added("Audi R8 Coupe 2012", "Audi R8 coupe") == {"2012"}
    lines = [
        {"class_name": "Audi R8 Coupe 2012", "raw": "Audi R8", "extracted": {"1": "Audi R8 Coupe 2012"}},
        {"class_name": "Fiat 500 Abarth 2012", "raw": "Fiat 500 Abarth", "extracted": {"1": "Fiat 500 Abarth 2012"}},
    ]
    replies = tmp_path / "replies.jsonl"
    replies.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    script.main(replies)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["read"] == figures["extracted, bare"]
    assert figures["read, dressed"] == figures["extracted"]
    assert figures["extracted"]["siou"] == 100.0 > figures["read"]["siou"]
