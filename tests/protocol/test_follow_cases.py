from tests.protocol.follow_cases import PATH, text


def test_the_table_of_cases_for_other_clients_is_what_the_rules_decide_now() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), "write it with: make client"
