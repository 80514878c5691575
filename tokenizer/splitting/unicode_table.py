"""The kind of each code point: Unicode 16.0, pinned.

Every regular expression engine has its own release of these tables (Python 3.11's knows 131,756 letters, tiktoken's
141,028, today's `regex` 158,172), so merges learnt through an engine's ``\\p{L}`` depend on what is installed. Here the
table is part of the tokenizer, and its version of the tokenizer's file. It equals tiktoken's and Hugging Face's; tests
hold both.
"""

import functools
import re

import numpy as np
from jaxtyping import UInt8

UNICODE_VERSION = "16.0"

_BY_CATEGORY = (
    "Lu=u Lt=t Ll=l Lm=d Lo=o Mn=m Mc=c Me=e Nd=n Nl=r No=x Pc=k Pd=h Ps=b Pe=q Pi=i Pf=f Po=p "
    "Sm=a Sc=v Sk=g So=yY Zs=s Zl=L Zp=R Cc=wC Cf=FJ Co=O Cs=z Cn=."
)
CATEGORIES = {name: letters for name, _, letters in (entry.partition("=") for entry in _BY_CATEGORY.split())}
"""The kinds of each general category, a letter each. Three are two kinds: among the symbols Y are the circled letters,
among the controls w is white space, among the format characters J are the joiners."""

KINDS = "".join(CATEGORIES.values())
"""One letter a kind of character. A kind's number is its place."""

_GROUPS = {group: "".join(CATEGORIES[name] for name in CATEGORIES if name[0] == group) for group in "LMNPSZC"}

PROPERTIES = _GROUPS | CATEGORIES | {"s": _GROUPS["Z"] + "w", "d": "n", "w": _GROUPS["L"] + _GROUPS["M"] + "nrkYJ"}
"""The kinds that make up each property a pattern can name: ``\\p{L}``, ``\\p{Lu}`` …; s, d, w are ``\\s``, ``\\d``, ``\\w``."""

CODE_POINTS = 0x110000


@functools.cache
def kinds() -> UInt8[np.ndarray, " code_points"]:
    """The kind's number of every code point."""
    runs = re.findall(r"([.A-Za-z])(\d*)", _RUNS)
    numbers = np.array([KINDS.index(letter) for letter, _ in runs], dtype=np.uint8)
    return np.repeat(numbers, [int(length or 1) for _, length in runs])


# Runs of one kind over all code points in order: "C9" is nine control characters, "u" one capital.
_RUNS = (
    "C9w5C18sp3vp3bqpaphp2n10p2a3p2u26bpqgkgl26baqaC6wC26spv4ypgyoiaFygyax2glp2gxofx3pu23au7l24al8ululululululululululu"
    "lululululululululululululululululul2ulululululululul2ulululululululululululululululululululululululu2lulul3u2lulu2"
    "lu3l2u4lu2lu3l3u2lu2lululu2lul2ulu2lu3lulu2l2oul3o4utlutlutlulululululululul2ululululululululul2utlulu3lululululul"
    "ulululululululululululululululululululululululul7u2lu2l2ulu4lulululul69ol27d18g4d12g14d5g7dgdg17m112ululdgul.2dl3p"
    "u.4g2upu3.u.u2lu17.u9l35ul2u3l3ulululululululululululul5ulaulu2l2u51l48ulululululululululululululululululym5e2ulul"
    "ulululululululululululululululululululululululululu2lulululululul2ulululululululululululululululululululululululul"
    "ulululululululululululululululululululululululul.u38.2dp6l41ph.2y2v.m45hmpm2pm2pm.8o27.4o4p2.11F6a3p2vp2y2m11pFp3o"
    "32do10m21n10p4o2mo99pom7Fym6d2m2ym4o2n10o3y2op14.Fomo30m27.2o89m11o.14n10o33m9d2yp3d.2mv2o22m4dm9dm3dm5.2p15.o25m3"
    ".2p.o11.5o24go6.F2.5m9o41dm24Fm32co54mcmoc3m8c4mc2om7o10m2p2n10pdo15mc2.o8.2o2.2o22.o7.o.3o4.2moc3m4.2c2.2c2mo.8c."
    "4o2.o3m2.2n10o2v2x6yvopm.2m2c.o6.4o2.2o22.o7.o2.o2.o2.2m.c3m2.4m2.2m3.3m.7o4.o.7n10m2o3mp.10m2c.o9.o3.o22.o7.o2.o5"
    ".2moc3m5.m2c.c2m.2o.15o2m2.2n10pv.7om6.mc2.o8.2o2.2o22.o7.o2.o5.2mocmcm4.2c2.2c2m.7m2c.4o2.o3m2.2n10yox6.10mo.o6.3"
    "o3.o4.3o2.o.o2.3o2.3o3.3o12.4c2mc2.3c3.c3m.2o.6c.14n10x3y6vy.5mc3mo8.o3.o23.o16.2mom3c4.m3.m4.7m2.o3.2o.2o2m2.2n10"
    ".7px7yomc2po8.o3.o23.o10.o5.2mocmc5.mc2.c2m2.7c2.6o2.o2m2.2n10.o2c.12m2c2o9.o3.o41m2oc3m4.c3.c3moy.4o3cx7o3m2.2n10"
    "x9yo6.mc2.o18.3o24.o9.o.2o7.3m.4c3m3.m.c8.6n10.2c2p.12o48mo2m7.4vo6dm8pn10p2.37o2.o.o5.o24.o.o10mo2m9o.2o5.d.m7.n1"
    "0.2o4.32oy3p15ypy3m2y6n10x10ymymymbqbqc2o8.o36.4m14cm5pm2o5m11.m36.y8my6.y2p5y4p2.37o43c2m4cm6cm2c2m2on10p6o6c2m2o"
    "4m3oc3o2c7o3m4o13mc2m2c6mocn10c3my2u38.u.5u.2l43pdl3o329.o4.2o7.o.o4.2o41.o4.2o33.o4.2o7.o.o4.2o15.o57.o4.2o67.2m3"
    "p9x20.3o16y10.6u86.2l6.2ho620ypo17so26bq.3o75p3r3o8.7o18m3c.9o19m2cp2.9o18m2.12o13.o3.m2.12o52m2cm7c8mc2m11p3dp3vo"
    "m.2n10.6x10.6p6hp4m3Fmn10.6o35do53.7o5m2o34mo.5o70.10o31.m3c4m2c3.4c2mc6m3.4y.3p2n10o30.2o5.11o44.4o26.6n10x.3y34o"
    "23m2c2m.2p2o53cmcm7.mcmc2m8c6m10.2mn10.6n10.6p7dp6.2m14em16.49m4co47mcm5cmc5mc2o8.p2n10p7y10m9y9p3m2co30cm4c2m2cm3"
    "o2n10o44mcm2c3mcm3c2.8p4o36c8m8c2m2.3p5n10.3o3n10o30d6p2l9ul.5u43.2u3p8.8m3pm13cm7o4mo6mo2cm2o.5l44d63l13dl34d37m6"
    "4ululululululululululululululululululululululululululululululululululululululululululululululululululululululululu"
    "lulululululululululululululululululul9ulululululululululululululululululululululululululululululululululululululul"
    "ululululululululululul9u8l6.2u6.2l8u8l8u8l6.2u6.2l8.u.u.u.ul8u8l14.2l8t8l8t8l8t8l5.l2u4tglg3l3.l2u4tg3l4.2l2u4.g3l"
    "8u5g3.2l3.l2u4tg2.s11FJ2F2h6p2ifbi2fbip8LRF5sp9ifp4k2p3abqp11apkp10sF5.F10xd.2x6a3bqdx10a3bq.d13.3v33.15m13e4me3m1"
    "2.15y2uy4uy2lu3l2u3lyuy2au5y6uyuyuyu4ylu4lo4ly2l2u2a5ul4yay2lyx16r35ulr4xy2.4a5y5a2y4ay2ay2ay7ay31a2y2ayay31a268y8"
    "bqbqy20a2y7bqy81ay30a25y40a6y72.22y11.21x60y26Y52x22y183ay9ay54a8y111ay248bqbqbqbqbqbqbqx30y44a5bqa31bqbqbqbqbqa16"
    "y256a131bqbqbqbqbqbqbqbqbqbqbqa63bqbqa32bqa258y48a21y2a6y39.2y32.y105u48l48ulu3l2ulululu4lul2ul6d2u3lululululululu"
    "lulululululululululululululululululululululululululululululululululululululululululul2y6ululm3ul.5p4xp2l38.l.5l.2o"
    "56.7dp.14mo23.9o7.o7.o7.o7.o7.o7.o7.o7.m32p2ififp3ifpifp9hp2hpifp2ifbqbqbqbqp5dp10h2p4hpbp13y2p3bqbqbqbqh.34y26.y8"
    "9.12y214.26y16sp3ydorbqbqbqbqbqy2bqbqbqbqhbq2yr9m4c2hd5y2r3dopy2.o86.2m2g2d2oho90pd3o.5o43.o94.y2x4y10o32y38.9yo16"
    "y31.x10y30x8yx15y32x10y39x15y320o6592y64o21013do1143.3y55.9o40d6p2o268dp3o16n10o2.20ululululululululululululululul"
    "ululululululululome3pm10pdululululululululululululululd2m2o70r10m2p6.8g23d9g2ululululululul3ululululululululululul"
    "ululululululululululululululululululululdl8ululu2lululululdg2ululoulul3ululululululululululu5lu5lulululululululu4l"
    "ulu2l.2ul.l.lulululu.21d3ulod2lo7mo3mo4mo23c2m2cy4m.3x6y2vy.6o52p4.8c2o50c16m2.8p2n10.6m18o6p3opo2mn10o28m8p2o23m1"
    "1c2.11po29.3m3co47mc2m4c2m2c3p13.dn10.4p2o5mdo9n10o5.o41m6c2m2c2m2.9o3mo8mc.2n10.2p4o16do6y3ocmco50mom3o2m2o5m2omo"
    ".24o2dp2o11cm2c2p2od2cm.10o6.2o6.2o6.9o7.o7.l43gd4l9dg2.4l80o35c2mc2mc2pcm.2n10.6o11172.12o23.4o49.4z2048O6400o366"
    ".2o106.38l7.12l5.5omo10ao13.o5.o.o2.o2.o108g17.16o363qby16o64.2o54.7y.32o12vy3m16p7bqp.6m16ph2k2bqbqbqbqbqbqbqbqp2"
    "bqp4k3p3.p4hbqbqbqp3aha3.pvp2.4o5.o135.2F.p3vp3bqpaphp2n10p2a3p2u26bpqgkgl26baqabqpbqp2o10do45d2o31.3o6.2o6.2o6.2o"
    "3.3v2agyv2.ya4y2.10F3y2.2o12.o26.o19.o2.o15.2o14.34o123.5p3.4x45.3y9r53x4y17x2y3.y13.3y.47y45m.130o29.3o49.15mx27."
    "4o32x4.9o20ro8r.5o38m5.5o30.po36.4o8pr5.42u40l40o78.2n10.6u36.4l36.4o40.8o52.11pu11.u15.u7.u2.l11.l15.l7.l2.3o52.1"
    "2o311.9o22.10o8.24d6.d42.d9.69o6.2o.o44.o2.3o.2o23.px8o23y2x7o31.8x9.48o19.o2.5x5o22x6.3po26.5p.64o56.4x2o2x16.2x4"
    "6om3.m2.5m4o4.o3.o29.2m3.4mx9.7p9.7o29x2po29x3.32o8yo28m2.4x5p7.9o54.3p7o22.2x8o19.5x8o18.7p4.12x7.80o73.55u51.13l"
    "51.7x6o36m4.8n10.6n10o4dou22.3m5hdl22.8a2.208x31.o42.m2h.2o2.16o3.55m4o29x10o.8o22m11x4p5.22o18m4p4.38o21x7.20o23."
    "9cmco53m15p7.4x20n10mo2m2o.9m3co45c3m4c2m2p2Fp4m.10F.2o25.7n10.6m3o36m5cm8.n10p4oc2o.8o35mp2o.9m2co48c3m9c2o4p4m4p"
    "cmn10opop3.x20.11o18.o25c3m3c2mcm2p6mo2m.62o7.o.o4.o15.o10p.6o47mc3m8.5n10.6m2c2.o8.2o2.2o22.o7.o2.o5.m2oc2mc4.2c2"
    ".2c3.2o.6c.5o5c2.2m7.3m5.11o10.o.2o.o38.oc3m6.c.2c.c4.c2mcmomop2.p2.8m2.29o53c3m8c2m3cmo4p5n10p2.pmo3.30o48c3m6cmc"
    "4m2cm2o2po.8n10.166o47c3m4.2c4m2cm2p23o4m2.34o48c3m8c2mcm2p3o.11n10.6p13.19o43mcmc2m6cmop.6n10.6n20.28o27.2mcmc2m4"
    "cm5.4n10x2p3yo7.185o44c3m9cm2p.100u32l32n10x9.12o8.2o.2o8.o2.o24c6.c2.2m2cmococmp3.9n10.70o8.2o39c3m4.2m2c4mopoc.2"
    "7om10o40m6com4p8m.8om6c2m3o46m13cm2p3op5.13o73.7p10.182o33p.14n10.6o9.o37cm7.m6cmop5.10n10x19.3p2o30.2m22.cm7cm2cm"
    "2.73o7.o2.o38m6.3m.m2.m7om.8n10.6o6.o2.o32c5.m2.c2mcmo.7n10.310o19m2c2p2.7m2oco13.o34c2m5.3c2mcmp13n10m.85o.15x21y"
    "8v4y17.13po922.102r111.p5.11o196.2636o97p2.13o1072F16mo6m15.10o3995.5o583.6841o30m12c3m3n10.1734o569.7o31.n10.4p2o"
    "79.n10.6o30.2m5p.10o48m7p5y4d4py.10n10.x7.o21.5o19.432d3o40d2p3n10.198u32l32x23p4.101o75.4moc55.7m4d13.64d2pdm.11c"
    "2.14o6136.8o1238.41o10.8935d4.d7.d2.o291.15o.29o3.2o.14o4.8o396.2308o107.5o13.3o9.7o10.2ym2pF4.3932y240n10.6y436.7"
    "6m46.2m23.9y116.60y246.10y39.2y60c2m3y3c6F8m8y2m7y30m4y61.21y66m3y.122x20.12x20.12y87.9x25.135u26l26u26l7.l18u26l2"
    "6u.u2.2u.2u2.2u4.u8l4.l.l7.l11u26l26u2.u4.2u8.u7.l26u2.u4.u5.u.3u7.l26u26l26u26l26u26l26u26l26u26l26u26l28.2u25al2"
    "5al6u25al25al6u25al25al6u25al25al6u25al25al6ul.2n50y512m55y4m50y8my14my2p5.15m5.m15.1104l10ol20.6l6.213m7.m17.2m7."
    "m2.m5.5d62.33m.112o45.3m7d7.2n10.4oy.320o30m.17o44m4n10.5v.464o27dm4n10.214o30m2on10.4p.480o7.o4.o2.o15.o197.2x9m7"
    ".41u34l34m7d.4n10.4p2.785x59yx3vx4.76x45yx15.194o4.o27.o2.o.2o.o10.o4.o.o.6o.4o.o.o.o3.o2.o.2o.o.o.o.o.o2.o.2o4.o7"
    ".o4.o4.o.o10.o17.5o3.o5.o17.52a2.270y44.4y100.12y15.2y15.y15.y37.10x13y35Y26y6Y26y6Y26y36.56y29.13y44.4y9.7y2.14y6"
    ".154y251g5y728.4y17.3y13.3y119.4y95.6y12.4y.15y12.4y56.8y10.6y40.8y30.2y12.4y2.62y340.12y14.2y13.3y10.5y56.7y15.2y"
    "11.6y9.7y147.y92n10.1030o42720.32o4154.6o222.2o5762.14o7473.15o622.2466o542.1506o4939.5o4192.711761F.30F96.128m240"
    ".65040O65534.2O65534.2"
)
