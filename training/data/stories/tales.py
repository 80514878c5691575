"""The grammar of the stories: eight kinds of tale, each with a beginning, a trouble, a turn, an ending and a moral.

To add a tale, add its rules here and name it under ``story``; to add a word, add it to a table of the lexicon. `Grammar`
refuses a hole that nothing can fill, and the tests refuse a text that can be derived in two ways.
"""

from gpt_from_scratch.training.data.stories.grammar import Alternatives, Grammar
from gpt_from_scratch.training.data.stories.lexicon import TABLES

RULES: dict[str, Alternatives] = {
    "story": [
        "{who}{lost}{on_help}{coda}",
        "{who}{broken}{on_forgiving}{coda}",
        "{who}{shared}{on_sharing}{coda}",
        "{who}{returned}{on_honesty}{coda}",
        "{who}{rescued}{on_kindness}{coda}",
        "{who}{frightened}{on_courage}{coda}",
        "{who}{baked}{on_giving}{coda}",
        "{who}{learned}{on_patience}{coda}",
    ],
    # Rules shared by several tales.
    "who": [
        "Once upon a time, there was {someone} named {hero=sex.names} who lived by the {home=homes}.",
        "In a house by the {home=homes} lived {someone} named {hero=sex.names}.",
        "Long ago, by the {home=homes}, there lived {someone} called {hero=sex.names}.",
    ],
    "someone": ["a {trait=traits} and {mood=moods} {sex=sexes}"],
    "gift": [
        " {hero.He} had {present} from {hero.his} {elder=elders}, who was a {job=jobs}.",
        " {hero.His} favorite toy was {present} that {hero.his} {elder=elders}, a {job=jobs}, had made.",
        " For {hero.his} birthday, {hero.he} got {present} from {hero.his} {elder=elders}, a {job=jobs}.",
    ],
    "present": ["a {make=makes} {color=colors} {toy=toys}"],
    "when": [
        " One {weather=weathers} {weekday=weekdays} {hour=hours},",
        " On a {weather=weathers} {weekday=weekdays} {hour=hours},",
        " After {meal=meals} on a {weather=weathers} {weekday=weekdays},",
    ],
    "outing": [
        "{when} {hero.he} {speed=speeds} to {place=places}",
        "{when} {hero} went to {place=places}",
    ],
    # A toy is lost; a friend helps to find it.
    "lost": [
        "{gift}{outing} with it.{vanished} {hero.He} looked {spot=place.spots}, but it was not there.{ask}{found}"
    ],
    "vanished": [
        " {hero.He} {toy.used} it for a while, but then it was gone.",
        " But when it was time to go home, {hero.he} could not find the {toy}.",
        " {hero.He} stopped to watch a {size=sizes} {animal=animals}, and then the {toy} was gone.",
    ],
    "ask": [
        " {friend=children except hero} came by with {carried=burdens} and asked {tone=tones},"
        ' "Why are you so {sorrow=sorrows}?"{answer}',
        ' "You look {sorrow=sorrows}," said {friend=children except hero}, who came by with {carried=burdens}.{answer}',
    ],
    "answer": [
        ' "I lost my {toy}," said {hero}.',
        ' "I cannot find my {toy}," {hero.he} said.',
    ],
    "found": [
        " {friend} helped {hero.him} look, and they found it {other=place.spots except spot}.{relief}",
        " {friend} looked {other=place.spots except spot}, and there was the {toy}!{relief}",
    ],
    "relief": [
        " {hero} hugged {friend} and was {joy=joys}.",
        ' "Thank you, {friend}!" said {hero}, who was no longer {sorrow}.',
    ],
    # A friend breaks a toy; it is mended and forgiven.
    "plea": [
        '{gift}{outing}. {friend=children except hero} was there and asked {tone=tones}, "May I {toy.use} your {toy}?"',
        '{gift}{outing} and met {friend=children except hero}. "May I {toy.use} it?" asked {friend} {tone=tones}.',
    ],
    "broken": [
        '{plea} "Yes, you may," said {hero}. But {friend} {fall=falls} {hazard=hazards}, and the {toy.part} of the {toy} broke.'
        "{sorry}{fixed}"
    ],
    "sorry": [
        ' "I am so sorry," said {friend}, who was {sorrow=sorrows}.',
        ' {friend} looked {sorrow=sorrows} and said, "I am so sorry, {hero}."',
    ],
    "fixed": [
        ' "Do not be {sorrow}. My {elder} can fix it," said {hero}. And {elder.he} fixed it with {tool=toy.tools}.'
        " Soon the friends {toy.used} the {toy} again.",
        " They took it to {hero.his} {elder}, who was {busy=chores} and fixed the {toy.part} with {tool=toy.tools}."
        " Then {hero} and {friend} {toy.used} it together.",
    ],
    # A toy is not shared, and then it is.
    "shared": [
        '{plea} "No, it is mine!" said {hero}. {friend} sat down {spot=place.spots} and felt {sorrow=sorrows}.{regret}{share}'
    ],
    "regret": [
        " {hero} thought of what {hero.his} {elder} would say.",
        " {hero} ate some {snack=foods} alone, but it was no fun.",
    ],
    "share": [
        ' {hero.He} went to {hero.his} friend and said {tone=tones}, "I am sorry. You may {toy.use} my {toy}." {friend} was'
        " {joy=joys}, and they {toy.used} it until {end=ends}.",
        ' {hero.He} found {friend} {spot} and said, "Please do not be {sorrow}. We can {toy.use} it together."'
        " So they {toy.used} the {toy} until {end=ends}.",
    ],
    # A thing is found and given back.
    "returned": [
        "{outing}. {hero.He} found a {color=colors} {treasure=treasures} {spot=place.spots}.{wonder}{owner}{thanks}"
    ],
    "wonder": [
        ' "What a {look=looks} {treasure}!" {hero.he} said.',
        " It was so {look=looks} that {hero.he} wanted to keep it.",
    ],
    "owner": [
        ' Then {friend=children except hero} came by with {carried=burdens}, and {friend.he} looked {sorrow=sorrows}. "Did you'
        ' lose a {treasure}?" asked {hero} {tone=tones}.{yes}',
        " But {hero.he} saw that {friend=children except hero} was looking for something and felt {sorrow=sorrows}."
        ' "Is this your {treasure}?" {hero.he} asked {tone=tones}.{yes}',
    ],
    "yes": [
        ' "Yes, my {elder=elders} gave it to me!" said {friend}.',
        ' {friend} said, "Yes, I got it from my {elder=elders}!"',
    ],
    "thanks": [
        " {hero} gave {friend.him} the {treasure}. {friend.His} {elder}, a {job=jobs}, was so {joy=joys} that {elder.he} gave"
        " {hero} some {food=foods}.",
        " So {friend} got it back and was no longer {sorrow}. {friend.His} {elder}, who was {busy=chores}, was {joy=joys}"
        " and gave them some {food=foods}. They ate {food.them} together.",
    ],
    # An animal is helped, and helps in return.
    "rescued": [
        "{outing}. There {hero.he} saw a {size=sizes} {animal=animals} that was stuck {trap=traps}.{freed}{later}"
    ],
    "freed": [
        ' "Please help me!" it said {begging=pleas}. {hero.He} {deed=trap.deeds} until the {animal} was free.',
        ' {hero.He} was {fear=fears}, but {hero.he} {deed=trap.deeds} until it was free. "Thank you," said the {animal}'
        " {tone=tones}.",
    ],
    "later": [
        " On the way home, {hero.he} lost a {color=colors} {treasure=treasures} and was {sorrow=sorrows}.{repaid}",
        " Then {hero.he} saw that {hero.his} {color=colors} {treasure=treasures} was gone, and {hero.he} felt {sorrow=sorrows}."
        "{repaid}",
    ],
    "repaid": [
        ' But the {animal} found it {spot=place.spots}. "You helped me, and now I help you," it said.',
        ' "Do not be {sorrow}. Your {treasure} is {spot=place.spots}," said the {animal} {tone=tones}. {hero.He} looked there,'
        " and it was true!",
    ],
    # A noise in the night has a small cause.
    "frightened": [
        '{night} {hero.He} was {fear=fears} and dropped {carried=burdens}. "Help, {elder.Name=elders}! There is a monster'
        ' {corner}!" cried {hero}. {hero.His} {elder}, who was {busy=chores}, lit a {light=lights} and looked there.'
        "{small}{kept}"
    ],
    "night": [
        " One {sky=nights} {weekday=weekdays} night, {hero} heard a {noise=noises} {corner=corners}.",
        " On a {sky=nights} {weekday=weekdays} night, there was a {noise=noises} {corner=corners}.",
    ],
    "small": [
        " But the {noise} came from a {size=sizes} {animal=animals}.",
        " It was only a {size=sizes} {animal=animals} that had made the {noise}.",
    ],
    "kept": [
        " {hero} gave the {animal} some {food=foods}, and it ate {food.them} all up. {hero.He} was not scared at all and named"
        ' it {pet=pets}. "Good night, {pet}!" {hero.he} said.',
        ' {hero} named it {pet=pets}. "Are you hungry, {pet}?" {hero.he} asked {tone=tones}, and {hero.his} {elder} gave'
        " the {animal} some {food=foods}.",
    ],
    # A friend is given something that was made with care.
    "baked": ["{wish}{missing} They made the {dish} {vessel=vessels}, and {dish.they} smelled {taste=tastes}.{tasted}"],
    "wish": [
        "{when} {hero} wanted to make some {dish=dishes} for {friend=children except hero}, who was {sorrow=sorrows}.",
        "{when} {friend=children except hero} was {sorrow=sorrows}, so {hero} wanted to make {friend.him} some {dish=dishes}.",
    ],
    "missing": [
        ' But there was no {ingredient=dish.ingredients} in the house. "{elder.Name=elders}, can we get some {ingredient}?"'
        " {hero.he} asked {tone=tones}. So they bought a {container=ingredient.containers} of {ingredient} from a {job=jobs}.",
        ' "We have no {ingredient=dish.ingredients}," said {hero.his} {elder=elders}, who was {busy=chores}. So {hero.he}'
        " {speed=speeds} to the shop and came back with a {container=ingredient.containers} of {ingredient}.",
    ],
    "tasted": [
        ' {friend} tasted the {dish} and was {joy=joys}. "The secret is the {ingredient}!" said {hero} {tone=tones}.',
        ' "The {dish} {dish.are} so {praise=tastes}, {hero}!" said {friend}, who was no longer {sorrow}. "My {elder} helped'
        ' me," said {hero}.',
    ],
    # Something is hard, and practice makes it easy.
    "learned": [
        "{outing} and saw {friend=children except hero} {skill.doing=skills}.{failed}{advice} So every day, they met"
        " {spot=place.spots} and practiced until {end=ends}.{able}"
    ],
    "failed": [
        " {hero} tried to {skill} too, but {hero.he} {skill.failed} and felt {sorrow=sorrows}.",
        ' "I cannot {skill} like you," said {hero}, who was {sorrow=sorrows}.',
    ],
    "advice": [
        ' "Do not be {sorrow}. I can help you," said {friend}.',
        ' {friend} said, "My {elder=elders}, a {job=jobs}, taught me to {skill}. I can teach you."',
    ],
    "able": [
        ' At last {hero.he} could {skill} as well as {friend}. "Look, I can {skill}!" {hero.he} said {tone=tones}.',
        " One day, {hero} showed everyone at {place} that {hero.he} could {skill}, and {friend} was {joy=joys}.",
    ],
    # What is to be learned from it.
    "on_help": [
        " Two pairs of eyes see more than one.",
        " {hero} learned to ask for help.",
        " Good friends help each other.",
    ],
    "on_forgiving": [
        " Friends forgive each other.",
        " {friend} learned to take care.",
        " A friend is worth more than a toy.",
    ],
    "on_sharing": [
        " {hero} learned to share.",
        " Sharing makes a toy twice as nice.",
        " Two can have more fun than one.",
    ],
    "on_honesty": [
        " {hero} learned to be honest.",
        " It is good to give things back.",
        " Honest people make many friends.",
    ],
    "on_kindness": [
        " Even small friends can help.",
        " {hero} learned that help comes back.",
        " Kindness is never lost.",
    ],
    "on_courage": [
        " {hero} learned to be brave.",
        " Many things only sound big.",
        " It is good to look before you fear.",
    ],
    "on_giving": [" {hero} learned to give.", " A gift made with love tastes best.", " Giving makes two people happy."],
    "on_patience": [" {hero} learned not to give up.", " Nobody can do everything at once.", " Hard things take time."],
    # The end.
    "coda": [
        "",
        " The end.",
        " That night, {hero} slept well and dreamed of {dream=dreams}.",
        " For supper, everyone had {supper=dishes} with {side=snacks} and some {drink=drinks}.",
        " From then on, every day was a good day.",
        " Everyone was proud of {hero}.",
    ],
}

STORIES = Grammar(RULES, TABLES)
