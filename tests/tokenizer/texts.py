"""Texts that split patterns disagree about, and strategies that make more of them."""

from hypothesis import settings
from hypothesis import strategies as st

fuzz = settings(deadline=None, derandomize=True)
"""Without a deadline, since the first example of many compiles something."""
few = settings(fuzz, max_examples=30)
"""Where each example makes tokenizers."""

SCRIPTS = (
    "The cat's hat, they're 12345 cats; I'LL go!\r\n\r\n  \tEND   \n",
    "naïve café — «Straße» ÆØÅ İstanbul ǅ ǆ ﬁ",
    "你好，世界 strawberry 日本語のテキスト 한국어 ไทย हिन्दी العربية עברית",
    "e\u0301a\u0308\u0301 q\u0307\u0323 👩‍👩‍👧‍👦 🇩🇪🏳️‍🌈 😊😊 1️⃣",
    "ⅠⅡⅢ ½ ٣٤٥ ² ③ 𝟘𝟙 १२३",
    "\x00\x00\x01\x1c\x1d\x1e\x1f\x7f\x85\xa0\u1680\u180e\u2003\u2028\u200b\u3000\ufeff x",
    "it'ſ IT'S 'ſ 'S 'Ll 'VE 're 'd 'K K's",
    "a\r\nb\rc\n\n\nd \n e\t\n  f  \n\n   g",
    "if (x_1 == 2):\n\treturn [foo(bar)[3:-1], {'k': \"v\"}]  # ok!!!\n    pass\n/path/to//x\n//\n",
    "<|endoftext|>a<|endoftext|><|end|>",
)

ALPHABET = "aAzſsStTmMlLvVeErRdDkK ' ’-\n\r\t\x00\x85\u2003\u00a0\u180e019²½é中文\u0301\u0308ªʰǅ😊!.,/_<|>\ufeff\u200b"
"""Characters that fall into different classes of some pattern."""

tricky = st.text(ALPHABET, max_size=40)
wild = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
texts = st.one_of(tricky, wild, st.lists(st.sampled_from(SCRIPTS), max_size=3).map("".join))

overlapping = st.text("ab ", max_size=60)
"""Where occurrences of pairs overlap, and counts are often equal."""
