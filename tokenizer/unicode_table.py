"""Which characters are letters, marks, numbers and spaces: Unicode 16.0, pinned.

Every regular expression engine has its own release of these tables (Python 3.11's knows 131,756 letters, tiktoken's
141,028, today's `regex` 158,172), so merges learnt through an engine's ``\\p{L}`` depend on what is installed. Here the
table is part of the tokenizer, and its version of the tokenizer's file. It equals tiktoken's; a test holds it.
"""

import functools
import re

import numpy as np
from jaxtyping import UInt8

UNICODE_VERSION = "16.0"

KINDS = ".utldomns"
"""One letter a kind of character: other, then Lu, Lt, Ll, Lm, Lo, M, N, and white space. A kind's number is its place."""

PROPERTIES = {"L": "utldo", "Lu": "u", "Lt": "t", "Ll": "l", "Lm": "d", "Lo": "o", "M": "m", "N": "n", "s": "s"}
"""The kinds that make up each property a pattern can name: ``\\p{L}`` … ``\\p{N}``, and s for ``\\s``."""

CODE_POINTS = 0x110000


@functools.cache
def kinds() -> UInt8[np.ndarray, " code_points"]:
    """The kind's number of every code point."""
    runs = re.findall(r"([.a-z])(\d*)", _RUNS)
    numbers = np.array([KINDS.index(letter) for letter, _ in runs], dtype=np.uint8)
    return np.repeat(numbers, [int(length or 1) for _, length in runs])


def ranges(wanted: str, stop: int = CODE_POINTS) -> str:
    """The inside of a character class, ``\\x41-\\x5a…``, for all code points below `stop` of the `wanted` kinds."""
    member = np.isin(kinds()[:stop], [KINDS.index(letter) for letter in wanted])
    edges = np.flatnonzero(np.diff(member, prepend=False, append=False)).reshape(-1, 2)
    return "".join(f"\\U{first:08x}-\\U{last - 1:08x}" for first, last in edges.tolist())


# Runs of one kind over all code points in order: "s5" is five spaces, "u" one capital.
_RUNS = (
    ".9s5.18s.15n10.7u26.6l26.10s.26s.9o.7n2.l.3no.n3.u23.u7l24.l8ululululululululululululululululululululululululululu"
    "lul2ulululululululul2ulululululululululululululululululululululululu2lulul3u2lulu2lu3l2u4lu2lu3l3u2lu2lululu2lul2u"
    "lu2lu3lulu2l2oul3o4utlutlutlulululululululul2ululululululululul2utlulu3lululululululululululululululululululululul"
    "ulululululululul7u2lu2l2ulu4lulululul69ol27d18.4d12.14d5.7d.d.17m112ululd.ul.2dl3.u.6u.u3.u.u2lu17.u9l35ul2u3l3ulu"
    "lulululululululululul5ul.ulu2l2u51l48ululululululululululululululululul.m7ulululululululululululululululululululul"
    "ulululululululu2lulululululul2ulululululululululululululululululululululululululululululululululululululululululul"
    "ulululululul.u38.2d.6l41.8m45.m.m2.m2.m.8o27.4o4.29m11.5o32do10m21n10.4o2mo99.om7.2m6d2m2.m4o2n10o3.2o.16omo30m27."
    "2o89m11o.14n10o33m9d2.4d.2m.2o22m4dm9dm3dm5.18o25m3.4o11.5o24.o6.8m9o41dm24.m33o54m3om18om7o10m2.2n10.do15m3.o8.2o"
    "2.2o22.o7.o.3o4.2mom7.2m2.2m3o.8m.4o2.o3m2.2n10o2.2n6.2o.m.2m3.o6.4o2.2o22.o7.o2.o2.o2.2m.m5.4m2.2m3.3m.7o4.o.7n10"
    "m2o3m.11m3.o9.o3.o22.o7.o2.o5.2mom8.m3.m3.2o.15o2m2.2n10.9om6.m3.o8.2o2.2o22.o7.o2.o5.2mom7.2m2.2m3.7m3.4o2.o3m2.2"
    "n10.on6.10mo.o6.3o3.o4.3o2.o.o2.3o2.3o3.3o12.4m5.3m3.m4.2o.6m.14n13.13m5o8.o3.o23.o16.2mom7.m3.m4.7m2.o3.2o.2o2m2."
    "2n10.8n7.om3.o8.o3.o23.o10.o5.2mom7.m3.m4.7m2.6o2.o2m2.2n10.o2m.12m4o9.o3.o41m2om7.m3.m4o.5o3mn7o3m2.2n19.o6.m3.o1"
    "8.3o24.o9.o.2o7.3m.4m6.m.m8.6n10.2m2.13o48mo2m7.5o6dm8.n10.39o2.o.o5.o24.o.o10mo2m9o.2o5.d.m7.n10.2o4.32o.23m2.6n2"
    "0.m.m.m.4m2o8.o36.4m20.m2o5m11.m36.9m.57o43m20on10.6o6m4o4m3om3o2m7o3m4o13m12omn10m4.2u38.u.5u.2l43.dl3o329.o4.2o7"
    ".o.o4.2o41.o4.2o33.o4.2o7.o.o4.2o15.o57.o4.2o67.2m3.9n20.3o16.16u86.2l6.3o620.2o17so26.5o75.3n3o8.7o18m4.9o19m3.11"
    "o18m2.12o13.o3.m2.12o52m32.3d.4om.2n10.6n10.17m3.mn10.6o35do53.7o5m2o34mo.5o70.10o31.m12.4m12.10n10o30.2o5.11o44.4"
    "o26.6n11.37o23m5.4o53m10.m29.2mn10.6n10.13d.8m31.49m5o47m17o8.3n10.17m9.12m3o30m13o2n10o44m14.12o36m20.8n10.3o3n10"
    "o30d6.2l9ul.5u43.2u3.16m3.m21o4mo6mo2m3o.5l44d63l13dl34d37m64ululululululululululululululululululululululululululu"
    "lulululululululululululululululululululululululululululululululululululululululululululululululul9ulululululululul"
    "ululululululululululululululululululululululululululululululululululululululululul9u8l6.2u6.2l8u8l8u8l6.2u6.2l8.u."
    "u.u.ul8u8l14.2l8t8l8t8l8t8l5.l2u4t.l.3l3.l2u4t.3l4.2l2u4.4l8u5.5l3.l2u4t.3s11.29s2.5s.47s.16nd.2n6.5dn10.6d13.51m3"
    "3.17u.4u.2lu3l2u3l.u.3u5.6u.u.u.u4.lu4lo4l.2l2u2.5ul4.4l.n51uln5.726n60.78n22.630n30.1132u48l48ulu3l2ulululu4lul2u"
    "l6d2u3lululululululululululululululululululululululululululululululululululululululululululululululululul2.6ululm3"
    "ul.9n.2l38.l.5l.2o56.7d.15mo23.9o7.o7.o7.o7.o7.o7.o7.o7.m32.47d.464s.4don.25n9m6.d5.2n3do.4o86.2m2.2d2o.o90.d3o.5o"
    "43.o94.3n4.10o32.48o16.32n10.30n8.n15.32n10.39n15.320o6592.64o21013do1143.67o40d6.2o268d.3o16n10o2.20ululululululu"
    "lululululululululululululululululom4.m10.dululululululululululululululd2m2o70n10m2.37d9.2ululululululul3ululululul"
    "ululululululululululululululululululululululululululdl8ululu2lululululd.2ululoulul3ululululululululululu5lu5lululu"
    "lululululu4lulu2l.2ul.l.lulululu.21d3ulod2lo7mo3mo4mo23m5.4m.3n6.10o52.12m2o50m18.10n10.6m18o6.3o.o2mn10o28m8.2o23"
    "m13.12o29.3m4o47m14.14dn10.6o5mdo9n10o5.o41m14.9o3mo8m2.2n10.6o16do6.3om3o50mom3o2m2o5m2omo.24o2d.2o11m5.2od2m2.10"
    "o6.2o6.2o6.9o7.o7.l43.d4l9d.6l80o35m8.m2.2n10.6o11172.12o23.4o49.8452o366.2o106.38l7.12l5.5omo10.o13.o5.o.o2.o2.o1"
    "08.33o363.18o64.2o54.40o12.4m16.16m16.64o5.o135.19n10.7u26.6l26.11o10do45d2o31.3o6.2o6.2o6.2o3.35o12.o26.o19.o2.o1"
    "5.2o14.34o123.12n45.12n57.17n2.113m.130o29.3o49.15mn27.4o32n4.9o20no8n.5o38m5.5o30.2o36.4o8.n5.42u40l40o78.2n10.6u"
    "36.4l36.4o40.8o52.12u11.u15.u7.u2.l11.l15.l7.l2.3o52.12o311.9o22.10o8.24d6.d42.d9.69o6.2o.o44.o2.3o.2o23.2n8o23.2n"
    "7o31.8n9.48o19.o2.5n5o22n6.4o26.70o56.4n2o2n16.2n46om3.m2.5m4o4.o3.o29.2m3.4mn9.23o29n2.o29n3.32o8.o28m2.4n5.16o54"
    ".10o22.2n8o19.5n8o18.23n7.80o73.55u51.13l51.7n6o36m4.8n10.6n10o4dou22.3m5.dl22.218n31.o42.m2.3o2.16o3.55m4o29n10o."
    "8o22m11n4.27o18m4.42o21n7.20o23.9m3o53m15.11n30mo2m2o.9m4o45m11.7m.13o25.7n10.6m3o36m14.n10.4om2o.8o35m.2o.9m3o48m"
    "14o4.4m4.m2n10o.o.4n20.11o18.o25m12.6mo2m.62o7.o.o4.o15.o10.7o47m12.5n10.6m4.o8.2o2.2o22.o7.o2.o5.m2om7.2m2.2m3.2o"
    ".6m.5o5m2.2m7.3m5.11o10.o.2o.o38.om9.m.2m.m4.m5omo.13m2.29o53m18o4.5n10.4mo3.30o48m20o2.o.8n10.166o47m7.2m9.23o4m2"
    ".34o48m17.3o.11n10.38o43m13o.7n10.6n20.28o27.2m15.4n12.4o7.185o44m15.101u32l32n19.12o8.2o.2o8.o2.o24m6.m2.2m4omom2"
    ".12n10.70o8.2o39m7.2m7o.om.27om10o40m7om4.8m.8om11o46m16.3o.18o73.199o33.15n10.6o9.o37m8.m8o.15n29.5o30.2m22.m14.7"
    "3o7.o2.o38m6.3m.m2.m7om.8n10.6o6.o2.o32m5.m2.m5o.7n10.310o19m4.9m2omo13.o34m7.3m5.13n10m.85o.15n21.43o922.102n111."
    "17o196.2636o97.15o1072.16mo6m15.10o3995.5o583.6841o30m18n10.1734o569.7o31.n10.6o79.n10.6o30.2m5.11o48m7.9d4.12n10."
    "n7.o21.5o19.432d3o40d2.3n10.198u32l32n23.105o75.4mom55.7m4d13.64d2.dm.11m2.14o6136.8o1238.41o10.8935d4.d7.d2.o291."
    "15o.29o3.2o.14o4.8o396.2308o107.5o13.3o9.7o10.3m2.4177n10.518m46.2m23.542m5.3m6.8m8.2m7.30m4.148m3.123n20.12n20.10"
    "8n25.135u26l26u26l7.l18u26l26u.u2.2u.2u2.2u4.u8l4.l.l7.l11u26l26u2.u4.2u8.u7.l26u2.u4.u5.u.3u7.l26u26l26u26l26u26l"
    "26u26l26u26l26u26l28.2u25.l25.l6u25.l25.l6u25.l25.l6u25.l25.l6u25.l25.l6ul.2n50.512m55.4m50.8m.14m.22m5.m15.1104l1"
    "0ol20.6l6.213m7.m17.2m7.m2.m5.5d62.33m.112o45.3m7d7.2n10.4o.321o30m.17o44m4n10.470o27dm4n10.214o30m2on10.485o7.o4."
    "o2.o15.o197.2n9m7.41u34l34m7d.4n10.791n59.n3.n4.76n45.n15.194o4.o27.o2.o.2o.o10.o4.o.o.6o.4o.o.o.o3.o2.o.2o.o.o.o."
    "o.o2.o.2o4.o7.o4.o4.o.o10.o17.5o3.o5.o17.580n13.2787n10.1030o42720.32o4154.6o222.2o5762.14o7473.15o622.2466o542.15"
    "06o4939.5o4192.712016m240.196112"
)
