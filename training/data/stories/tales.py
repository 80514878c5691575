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
    # What several tales begin with.
    "who": [
        "Once upon a time, there was {someone} named {hero=sex.names} who lived by the {home=homes}.",
        "In a house by the {home=homes} lived {someone} named {hero=sex.names}.",
        "Long ago, by the {home=homes}, there lived {someone} called {hero=sex.names}.",
    ],
    "someone": ["a {trait=traits} and {other_trait=traits except trait} {sex=sexes}"],
    "gift": [
        " {hero.He} had a {color=colors} {toy=toys} from {hero.his} {elder=elders}.",
        " {hero.His} favorite toy was a {color=colors} {toy=toys} that {hero.his} {elder=elders} had made.",
        " For {hero.his} birthday, {hero.he} got a {color=colors} {toy=toys} from {hero.his} {elder=elders}.",
    ],
    "when": [
        " One {weather=weathers} {weekday=weekdays},",
        " On a {weather=weathers} {weekday=weekdays},",
    ],
    "outing": [
        "{when} {hero.he} {speed=speeds} to {place=places}",
        "{when} {hero} went to {place=places}",
    ],
    # A toy is lost; a friend helps to find it.
    "lost": [
        "{gift}{outing} with the {toy}.{vanished} {hero.He} looked {spot=place.spots}, but it was not there.{ask}{found}"
    ],
    "vanished": [
        " {hero.He} {toy.used} it for a while, but then the {toy} was gone.",
        " But when it was time to go home, {hero.he} could not find the {toy}.",
        " {hero.He} stopped to watch a {size=sizes} {animal=animals}, and then the {toy} was gone.",
    ],
    "ask": [
        ' {friend=children except hero} came by and asked {tone=tones}, "Why are you so {sorrow=sorrows}, {hero}?"{answer}',
        ' "You look {sorrow=sorrows}, {hero}," said {friend=children except hero}, who was passing by.{answer}',
    ],
    "answer": [
        ' "I lost the {toy} that my {elder} gave me," said {hero}.',
        ' "I cannot find my {color} {toy}," said {hero}.',
    ],
    "found": [
        " {friend} helped {hero.him} look, and they found the {color} {toy} {other=place.spots except spot}.{relief}",
        " {friend} looked {other=place.spots except spot}, and there was the {color} {toy}!{relief}",
    ],
    "relief": [
        " {hero} hugged {friend} and was not {sorrow} anymore.",
        ' "Thank you, {friend}!" said {hero}, who was no longer {sorrow}.',
    ],
    # A friend breaks a toy; it is mended and forgiven.
    "plea": [
        '{gift}{outing}. {friend=children except hero} was there and asked {tone=tones}, "May I {toy.use} your {toy}?"',
        '{gift}{outing} and met {friend=children except hero}. "May I {toy.use} your {toy}?" asked {friend} {tone=tones}.',
    ],
    "broken": [
        '{plea} "Yes, you may," said {hero}. But {friend} {fall=falls}, and the {toy.part} of the {toy} broke.{sorry}{fixed}'
    ],
    "sorry": [
        ' "I am so sorry, {hero}," said {friend}, who was {sorrow=sorrows}.',
        ' {friend} looked {sorrow=sorrows} and said, "I am so sorry, {hero}."',
    ],
    "fixed": [
        ' "Do not be {sorrow}, {friend}. My {elder} can fix it," said {hero}. And {elder.he} fixed the {toy.part} with'
        " {tool=toy.tools}. Soon the friends {toy.used} the {color} {toy} again.",
        ' "Do not be {sorrow}," said {hero}. They took the {toy} to {hero.his} {elder}, who fixed the {toy.part} with'
        " {tool=toy.tools}. Then {hero} and {friend} {toy.used} it together.",
    ],
    # A toy is not shared, and then it is.
    "shared": [
        '{plea} "No, it is mine!" said {hero}. {friend} sat down {spot=place.spots} and felt {sorrow=sorrows}.{regret}{share}'
    ],
    "regret": [
        " {hero} thought of what {hero.his} {elder} would say.",
        " {hero} saw that {friend} was {sorrow}.",
    ],
    "share": [
        ' {hero.He} went {spot} and said, "I am sorry, {friend}. You may {toy.use} my {toy}." {friend} was not {sorrow}'
        " anymore, and they {toy.used} the {color} {toy} until it got dark.",
        ' {hero.He} found {friend} {spot} and said, "Please do not be {sorrow}. We can {toy.use} the {toy} together."'
        " So {hero} and {friend} {toy.used} the {color} {toy} all day.",
    ],
    # A thing is found and given back.
    "returned": [
        "{outing}. {hero.He} found a {color=colors} {treasure=treasures} {spot=place.spots}.{wonder}{owner}{thanks}"
    ],
    "wonder": [
        ' "What a pretty {treasure}!" said {hero}.',
        " It was so pretty that {hero} wanted to keep it.",
    ],
    "owner": [
        ' Then {friend=children except hero} came by, and {friend.he} looked {sorrow=sorrows}. "Did you lose a {color}'
        ' {treasure}?" asked {hero} {tone=tones}.{yes}',
        " But {hero.he} saw that {friend=children except hero} was looking for something and felt {sorrow=sorrows}."
        ' "Is this your {color} {treasure}?" asked {hero} {tone=tones}.{yes}',
    ],
    "yes": [
        ' "Yes, my {elder=elders} gave it to me!" said {friend}.',
        ' {friend} said, "Yes, I got it from my {elder=elders}!"',
    ],
    "thanks": [
        " {hero} gave {friend.him} the {treasure}, and {friend} was not {sorrow} anymore. {friend.His} {elder} was so"
        " {joy=joys} that {elder.he} gave {hero} some {food=foods}.",
        " So {friend} got the {treasure} back and was no longer {sorrow}. {friend.His} {elder} was {joy=joys} and gave"
        " {hero} and {friend} some {food=foods}. They ate {food.them} {spot}.",
    ],
    # An animal is helped, and helps in return.
    "rescued": [
        "{outing}. There {hero.he} saw a {size=sizes} {animal=animals} that was stuck {trap=traps}.{freed}{later}"
    ],
    "freed": [
        ' "Please help me!" said the {animal} {tone=tones}. {hero} {deed=trap.deeds} until the {size} {animal} was free.',
        ' {hero} was {fear=fears}, but {hero.he} {deed=trap.deeds} until the {animal} was free. "Thank you, {hero}," said the'
        " {size} {animal}.",
    ],
    "later": [
        " On the way home, {hero.he} lost {hero.his} {color=colors} {treasure=treasures} and was {sorrow=sorrows}.{repaid}",
        " Then {hero} saw that {hero.his} {color=colors} {treasure=treasures} was gone, and {hero.he} felt {sorrow=sorrows}."
        "{repaid}",
    ],
    "repaid": [
        ' But the {size} {animal} found the {treasure} {spot=place.spots}. "You helped me when I was stuck {trap}, and now I'
        ' help you," said the {animal}.',
        ' "Do not be {sorrow}. Your {color} {treasure} is {spot=place.spots}," said the {size} {animal}. {hero} looked'
        " {spot}, and there was the {treasure}!",
    ],
    # A noise in the night has a small cause.
    "frightened": [
        '{night} {hero.He} was {fear=fears}. "Help, {elder.Name=elders}! There is a monster {corner}!" cried {hero}.'
        " {hero.His} {elder} lit a {light=lights} and looked {corner}.{small}{kept}"
    ],
    "night": [
        " One {weather=nights} {weekday=weekdays} night, {hero} heard a {noise=noises} {corner=corners}.",
        " On a {weather=nights} {weekday=weekdays} night, there was a {noise=noises} {corner=corners}.",
    ],
    "small": [
        " But the {noise} came from a {size=sizes} {animal=animals}.",
        " It was only a {size=sizes} {animal=animals} that had made the {noise}.",
    ],
    "kept": [
        " {hero} gave the {size} {animal} some {food=foods}, and it ate {food.them} all up. Then {hero.he} named it {pet=pets}"
        ' and was not {fear} anymore. "Good night, {pet}!" said {hero}.',
        ' {hero} was no longer {fear} and named the {animal} {pet=pets}. "Are you hungry, {pet}?" asked {hero}, and'
        " {hero.his} {elder} gave the {size} {animal} some {food=foods}.",
    ],
    # A friend is given something that was made with care.
    "baked": ["{wish}{missing} They made the {dish}, and {dish.they} smelled good.{tasted}"],
    "wish": [
        "{when} {hero} wanted to make some {dish=dishes} for {friend=children except hero}, who was {sorrow=sorrows}.",
        "{when} {friend=children except hero} was {sorrow=sorrows}, so {hero} wanted to make {friend.him} some {dish=dishes}.",
    ],
    "missing": [
        ' But there was no {ingredient=dish.ingredients} for the {dish}. "{elder.Name=elders}, can we get some {ingredient}?"'
        " asked {hero}. So {hero} and {hero.his} {elder} bought a {container=ingredient.containers} of {ingredient}.",
        ' "We have no {ingredient=dish.ingredients}," said {hero.his} {elder=elders}. So {hero.he} {speed=speeds} to the shop'
        " and came back to {hero.his} {elder} with a {container=ingredient.containers} of {ingredient}.",
    ],
    "tasted": [
        ' {friend} tasted the {dish} and was not {sorrow} anymore. "The secret is the {ingredient}!" said {hero}.',
        ' "The {dish} {dish.are} so good, {hero}!" said {friend}, who was no longer {sorrow}. "My {elder} helped me," said'
        " {hero}.",
    ],
    # Something is hard, and practice makes it easy.
    "learned": [
        "{outing} and saw {friend=children except hero} {skill.doing=skills}.{failed}{advice} So every {weekday}, {hero} and"
        " {friend} met {spot=place.spots} and practiced {skill.doing}.{able}"
    ],
    "failed": [
        " {hero} tried to {skill} too, but {hero.he} {skill.failed} and felt {sorrow=sorrows}.",
        ' "I cannot {skill} like you," said {hero}, who was {sorrow=sorrows}.',
    ],
    "advice": [
        ' "Do not be {sorrow}, {hero}. I can help you," said {friend}.',
        ' {friend} said, "Do not be {sorrow}. My {elder=elders} taught me to {skill}."',
    ],
    "able": [
        ' At last {hero.he} could {skill} as well as {friend}. "Look, {friend}, I can {skill}!" said {hero}.',
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
        " That night, the {trait} {sex} by the {home} slept well.",
        " From then on, every {weekday} was a good day for the {trait} {sex}.",
        " Everyone by the {home} was proud of {hero}.",
    ],
}

STORIES = Grammar(RULES, TABLES)
