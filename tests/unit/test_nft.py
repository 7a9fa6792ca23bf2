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


def test_what_packets_left_in_a_set_does_not_matter():
    passing = {"elem": {"val": "192.0.2.1", "expires": 299, "limit": {"rate": 30}}}
    counted = {"set": {"name": "ssh_rate", "flags": ["timeout"]}}
    filled = {"set": {"name": "ssh_rate", "flags": ["timeout"], "elem": [passing]}}
    assert difference(objects(listing(filled)), objects(listing(counted))) == {}
    by_hand = {"set": {"name": "ssh_rate", "flags": ["timeout"], "elem": ["192.0.2.1"]}}
    assert difference(objects(listing(by_hand)), objects(listing(counted))) != {}
