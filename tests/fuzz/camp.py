"""camp.py — the options that a campaign in Python takes, as those in C do (fuzz.h)."""
import argparse


def options(**more):
    """seed, start, items, seconds, shard, shards, repro and `more`, with their defaults; where it starts is noted in the file --at."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--from', type=int, default=0, dest='start')
    parser.add_argument('--items', type=int)
    parser.add_argument('--seconds', type=float)
    parser.add_argument('--shard', default='0/1')
    parser.add_argument('--repro', default='/tmp')
    parser.add_argument('--at')
    for name, default in more.items():
        parser.add_argument('--' + name, default=default)
    o = parser.parse_args()
    o.shard, o.shards = map(int, o.shard.split('/'))
    note(o, o.start)
    return o


def note(o, item):
    """Where to go on from, should this process die."""
    if o.at:
        with open(o.at, 'wb') as f:
            f.write(item.to_bytes(8, 'little'))
