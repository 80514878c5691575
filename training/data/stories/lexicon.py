"""The things that the stories speak of: each table is a list of things with the forms in which a story may mention them."""

from gpt_from_scratch.training.data.stories.tables import Table, table, words


def _split(text: str) -> list[str]:
    return text.split(", ")


_PRONOUNS = "name  he  him  his"
GIRLS = table(
    _PRONOUNS,
    *(f"{name}  she  her  her" for name in _split("Lily, Anna, Mia, Lucy, Emma, Zoe, Ruby, Molly")),
)
BOYS = table(
    _PRONOUNS,
    *(f"{name}  he  him  his" for name in _split("Tom, Ben, Max, Sam, Jack, Oscar, Henry, Billy")),
)
SEXES = table("name  him", "girl  her", "boy   him", lists={"names": {"girl": GIRLS, "boy": BOYS}})

ELDERS = table(
    _PRONOUNS,
    "mom      she  her  her",
    "dad      he   him  his",
    "grandma  she  her  her",
    "grandpa  he   him  his",
    "auntie   she  her  her",
    "uncle    he   him  his",
)

# What each kind of toy is mended with.
_PAPER = words("glue, tape, paste, string, thread, ribbon")
_CLOTH = words("thread, yarn, wool, ribbon, string, tape")
_WOOD = words("glue, tape, nails, screws, wire, string")
TOYS = table(
    "name     use     used      part",
    "kite     fly     flew      tail",
    "book     read    read      cover",
    "plane    throw   threw     wing",
    "puppet   move    moved     head",
    "doll     dress   dressed   arm",
    "bear     hug     hugged    ear",
    "drum     beat    beat      strap",
    "boat     sail    sailed    mast",
    "robot    steer   steered   leg",
    "train    drive   drove     roof",
    "truck    load    loaded    door",
    "wagon    pull    pulled    wheel",
    "bike     ride    rode      seat",
    "top      spin    spun      tip",
    "sled     push    pushed    back",
    "rocket   launch  launched  fin",
    "trumpet  blow    blew      bell",
    "guitar   play    played    neck",
    "bucket   fill    filled    handle",
    "globe    turn    turned    stand",
    lists={
        "tools": {
            **dict.fromkeys(("kite", "book", "plane"), _PAPER),
            **dict.fromkeys(("puppet", "doll", "bear"), _CLOTH),
            **dict.fromkeys(_split("drum, boat, robot, train, truck, wagon, bike, top, sled"), _WOOD),
            **dict.fromkeys(_split("rocket, trumpet, guitar, bucket, globe"), _WOOD),
        }
    },
)

PLACES = table(
    "name",
    "the park",
    "the beach",
    "the farm",
    "the garden",
    "the woods",
    "the river",
    "the market",
    "the school",
    "the lake",
    "the zoo",
    "the library",
    "the meadow",
    "the hill",
    "the harbor",
    "the station",
    "the fair",
    lists={
        "spots": {
            "the park": words("under the slide, behind the swings, near the fountain"),
            "the beach": words("under the umbrella, behind the dunes, near the shells"),
            "the farm": words("under the hay, behind the barn, near the pigs"),
            "the garden": words("under the roses, behind the shed, near the carrots"),
            "the woods": words("under the ferns, behind the oak, near the mushrooms"),
            "the river": words("under the bridge, behind the reeds, near the rocks"),
            "the market": words("under the stalls, behind the barrels, near the baker"),
            "the school": words("under the desks, behind the blackboard, near the gate"),
            "the lake": words("under the dock, behind the canoes, near the swans"),
            "the zoo": words("under the signs, behind the cages, near the monkeys"),
            "the library": words("under the tables, behind the shelves, near the window"),
            "the meadow": words("under the daisies, behind the fence, near the sheep"),
            "the hill": words("under the pine, behind the boulder, near the path"),
            "the harbor": words("under the nets, behind the crates, near the lighthouse"),
            "the station": words("under the benches, behind the clock, near the tracks"),
            "the fair": words("under the tent, behind the ponies, near the clown"),
        }
    },
)

INGREDIENTS = table(
    "name",
    *_split("flour, sugar, salt, yeast, cinnamon, butter, milk, cream, oil"),
    lists={
        "containers": {
            **dict.fromkeys(("flour", "sugar", "salt"), words("bag, box, sack, pound")),
            **dict.fromkeys(("yeast", "cinnamon", "butter"), words("box, jar, packet, cup")),
            **dict.fromkeys(("milk", "cream", "oil"), words("bottle, jug, can, carton")),
        }
    },
)


def _of(names: str) -> Table:
    return tuple(row for row in INGREDIENTS if row.forms["name"] in _split(names))


# Foods agree in number: "the soup smelled good, and they ate it", "the cookies ..., and they ate them".
_NUMBER = "name  they  them  are"
DISHES = table(
    _NUMBER,
    "bread     it    it    is",
    "soup      it    it    is",
    "cake      it    it    is",
    "pie       it    it    is",
    "pudding   it    it    is",
    "cookies   they  them  are",
    "muffins   they  them  are",
    "pancakes  they  them  are",
    "waffles   they  them  are",
    "noodles   they  them  are",
    lists={
        "ingredients": {
            "bread": _of("flour, salt, yeast, milk"),
            "soup": _of("salt, butter, cream, oil"),
            "cake": _of("flour, sugar, butter, milk"),
            "pie": _of("flour, sugar, cinnamon, butter"),
            "pudding": _of("sugar, cinnamon, milk, cream"),
            "cookies": _of("flour, sugar, cinnamon, butter"),
            "muffins": _of("flour, sugar, milk, oil"),
            "pancakes": _of("flour, sugar, butter, milk"),
            "waffles": _of("flour, sugar, cream, oil"),
            "noodles": _of("flour, salt, butter, oil"),
        }
    },
)
SNACKS = table(
    _NUMBER,
    "cheese   it    it    is",
    "honey    it    it    is",
    "popcorn  it    it    is",
    "apples   they  them  are",
    "berries  they  them  are",
    "nuts     they  them  are",
    "grapes   they  them  are",
    "plums    they  them  are",
)

SKILLS = table(
    "name     doing       failed",
    "skate    skating     fell down",
    "dance    dancing     lost the beat",
    "juggle   juggling    dropped everything",
    "climb    climbing    slid down",
    "sing     singing     lost the tune",
    "whistle  whistling   made no sound",
    "paint    painting    spilled the paint",
    "draw     drawing     broke the pencil",
    "knit     knitting    lost the thread",
    "sew      sewing      lost the needle",
    "write    writing     spilled the ink",
    "carve    carving     broke the wood",
)

TRAPS = table(
    "name",
    "in the mud",
    "in a hole",
    "in a net",
    "in a bush",
    "in a pipe",
    "under a log",
    "under a fence",
    "between two rocks",
    lists={
        "deeds": {
            **dict.fromkeys(("in a net", "in a bush", "in a pipe"), words("pulled, tugged, worked")),
            **dict.fromkeys(("in the mud", "in a hole", "under a fence"), words("pulled, dug, worked")),
            **dict.fromkeys(("under a log", "between two rocks"), words("pulled, pushed, worked")),
        }
    },
)

TABLES: dict[str, Table] = {
    "sexes": SEXES,
    "children": GIRLS + BOYS,
    "elders": ELDERS,
    "toys": TOYS,
    "places": PLACES,
    "dishes": DISHES,
    "foods": DISHES + SNACKS,
    "skills": SKILLS,
    "traits": words("kind, brave, clever, gentle, polite, humble, friendly, helpful, careful, patient, loyal, lively"),
    "moods": words("cheerful, curious, quiet, playful, shy, silly, dreamy, sleepy, noisy, calm, merry, jolly"),
    "homes": words("sea, mill, church, bakery, pond, forest, road, bay"),
    "colors": words("red, blue, green, yellow, pink, purple, brown, white, black, gray, golden, silver"),
    "weathers": words("sunny, windy, rainy, snowy, cloudy, warm, cold, foggy, bright, stormy, calm, mild"),
    "nights": words("windy, rainy, snowy, cloudy, warm, cold, foggy, stormy"),
    "weekdays": words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "sorrows": words("sad, upset, worried, unhappy, gloomy, miserable"),
    "fears": words("scared, afraid, frightened, nervous"),
    "joys": words("happy, glad, proud, pleased, thankful, excited, cheered, delighted"),
    "animals": words(
        "rabbit, fox, robin, turtle, squirrel, mouse, frog, hedgehog, duck, kitten, puppy, sparrow, hamster, chick, beaver,"
        " badger"
    ),
    "sizes": words("little, tiny, young, sleepy, bashful, lonely, skinny, plump, dusty, clumsy"),
    "traps": TRAPS,
    "treasures": words("ring, key, watch, glove, scarf, coin, purse, shoe, button, pencil, map, basket"),
    "noises": words("bump, squeak, rustle, knock, creak, clatter, thump, scratch"),
    "corners": words("under the bed, behind the door, in the closet, on the roof, in the attic, outside the house"),
    "lights": words("lamp, candle, torch, lantern"),
    "pleas": words("softly, quietly, weakly, sadly, loudly, shyly, quickly, bravely"),
    "tones": words(
        "softly, kindly, quietly, gently, quickly, shyly, at once, with a smile, with a laugh, with a bow, "
        "very slowly, in a whisper"
    ),
    "pets": words("Spot, Coco, Fluffy, Pepper, Ginger, Snowy, Buddy, Patch"),
    "speeds": words("ran, walked, hurried, skipped"),
    "falls": words("tripped, slipped, fell, stumbled"),
    "jobs": words(
        "baker, farmer, sailor, teacher, doctor, painter, tailor, carpenter, gardener, miner, nurse, singer, "
        "clerk, builder, weaver, barber, potter, hunter, fisher, driver"
    ),
    "hours": words("morning, afternoon, evening"),
    "makes": words("big, small, new, neat, fine, handsome, shiny, plain, sturdy, splendid, simple, tiny"),
    "snacks": SNACKS,
    "drinks": words("milk, tea, water, juice, cocoa, cider"),
    "meals": words("breakfast, lunch, dinner, a nap, a bath, a walk, a song, a rest"),
    "burdens": words(
        "a balloon, a flower, a sandwich, a lemon, a bell, a stick, a cushion, a flag, a peach, a jar, "
        "a stone, a feather, a blanket, a ladder, a shovel, a brush, a candle, a rope, a parcel, a pumpkin"
    ),
    "chores": words(
        "reading, cooking, sweeping, ironing, baking, dusting, resting, mending, humming, tidying, weaving, polishing"
    ),
    "hazards": words("on a root, on the ice, on a rope, in a puddle, on some mud, on a peel, on a step, on the leaves"),
    "looks": words("pretty, shiny, lovely, fine, rare, strange, bright, splendid"),
    "ends": words(
        "it got dark, supper, the bells rang, bedtime, it rained, the stars came out, they got tired, the sun set"
    ),
    "vessels": words("in a pan, in a pot, in the oven, on the stove, over the fire, in a dish"),
    "tastes": words("good, sweet, rich, fresh, warm, great, nice, delicious"),
    "dreams": words(
        "dragons, castles, clouds, pirates, whales, giants, rainbows, trains, stars, bees, ships, kings, "
        "tigers, candy, wizards, snow"
    ),
}
