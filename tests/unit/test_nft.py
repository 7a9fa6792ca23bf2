"""Tables compared as nft prints them."""

import json

from marketplace_nft import difference, objects


def listing(*entries):
    return json.dumps({"nftables": [{"metainfo": {"version": "1"}}, *entries]})


def rule(port, handle=1):
    match = {"match": {"op": "==", "left": {"payload": "dport"}, "right": port}}
    counter = {"counter": {"packets": handle * 7, "bytes": handle}}
    return {"rule": {"chain": "input", "handle": handle, "expr": [match, counter, {"accept": None}]}}


def test_handles_and_counters_do_not_matter():
    assert difference(objects(listing(rule(22, 5))), objects(listing(rule(22, 9)))) == {}


def test_the_order_of_a_sets_elements_does_not_matter_but_that_of_rules_does():
    first = listing({"set": {"name": "s", "elem": ["a", "b"]}})
    second = listing({"set": {"name": "s", "elem": ["b", "a"]}})
    assert difference(objects(first), objects(second)) == {}
    swapped = difference(objects(listing(rule(22), rule(80))), objects(listing(rule(80), rule(22))))
    assert set(swapped) == {"order"}


def test_rules_that_come_and_go_are_named():
    changes = difference(objects(listing(rule(22), rule(9999))), objects(listing(rule(22), rule(80))))
    assert [json.loads(entry)["rule"]["expr"][0]["match"]["right"] for entry in changes["rules"]["old"]] == [
        9999
    ]
    assert [json.loads(entry)["rule"]["expr"][0]["match"]["right"] for entry in changes["rules"]["new"]] == [
        80
    ]


def test_a_missing_table_is_everything_new():
    assert objects("") == []
    assert len(difference([], objects(listing(rule(22))))["rules"]["new"]) == 1
