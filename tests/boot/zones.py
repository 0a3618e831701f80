"""zones.py — what blk-check (tests/modules/blk-check) writes to a disk, and whether an image holds the last writing of each sector (O10)."""
import struct

MASK = (1 << 64) - 1


def content(sector, generation):
    head = sector << 32 | generation
    words = [head]
    for i in range(1, 64):
        x = ((head << 8 & MASK) ^ i) * 0x9e3779b97f4a7c15 & MASK
        words.append(x ^ x >> 29)
    return struct.pack('<64Q', *words)


def image_hash(path, zones):
    """The hash of how often each sector was written; None if a sector holds anything but one of its own writings."""
    h = 0xcbf29ce484222325
    with open(path, 'rb') as f:
        for sector in range(zones):
            data = f.read(512)
            head = struct.unpack('<Q', data[:8])[0]
            generation = head & 0xffffffff
            if generation and data != content(sector, generation):
                return None
            h = (h ^ (generation & 0xffff)) * 0x100000001b3 & MASK
    return h
