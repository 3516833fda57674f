"""Tells one story: characters, choices and the little language of the plots.

A plot is a function that takes a Story, fills slots and tells texts in which

  [a|b|c]   is one of the alternatives, each with the same chance; they nest,
            and one of them may be empty
  {slot}    is what the slot holds; {Slot} the same with a capital, {the_slot}
            the same with "the" for a leading "a"
  ~         begins a new paragraph

Sentences get their capital and "a" becomes "an" where it must. All choices
come from one generator with a seed, through random.random() alone, whose
numbers Python promises to keep.
"""
import functools
import random
import re

import words

_TOKEN = re.compile(r"[\[\]|]|[^\[\]|]+")
_SLOT = re.compile(r"\{(\w+)\}")
_BEFORE_STOP = re.compile(r" ([.,!?])")
_SPACE = re.compile(r"\s+")
_START = re.compile(r'((?:^|[.!?]) ?"?)([a-z])')
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou](?!ne\b|seful|nicorn))")

_PRONOUNS = {
    "she": ("she", "her", "her", "herself"),
    "he": ("he", "him", "his", "himself"),
}


@functools.lru_cache(maxsize=None)
def _parse(text):
    """A text as a tuple of strings and of tuples of alternatives."""
    tokens = _TOKEN.findall(text)
    at = 0

    def sequence():
        nonlocal at
        parts = []
        while at < len(tokens) and tokens[at] not in "|]":
            if tokens[at] == "[":
                at += 1
                options = [sequence()]
                while tokens[at] == "|":
                    at += 1
                    options.append(sequence())
                assert tokens[at] == "]", text
                parts.append(tuple(options))
            else:
                parts.append(tokens[at])
            at += 1
        return tuple(parts)

    parsed = sequence()
    assert at == len(tokens), f"unbalanced brackets: {text}"
    return parsed


class Story:
    def __init__(self, seed):
        self._random = random.Random(seed)
        self._slots = {}
        self._texts = []
        self.animals = self.chance(0.4)

    def chance(self, p):
        return self._random.random() < p

    def pick(self, options):
        return options[int(self._random.random() * len(options))]

    def sample(self, options, n):
        """n different ones."""
        rest, chosen = list(options), []
        for _ in range(n):
            chosen.append(rest.pop(int(self._random.random() * len(rest))))
        return chosen

    def set(self, **slots):
        """What a slot holds may itself have choices and slots."""
        for name, text in slots.items():
            self._slots[name] = self._fill(text)

    def __getitem__(self, slot):
        return self._slots[slot]

    def lesson(self, about):
        """What {lesson} says."""
        self.set(lesson=self.pick(words.LESSONS[about]),
                 lesson_first=self.pick(("they learned that {lesson}",
                                         "now they knew that {lesson}",
                                         "{lesson}")))

    def tell(self, text):
        self._texts.append(self._fill(text))

    def _expand(self, parts, out):
        for part in parts:
            if isinstance(part, str):
                out.append(part)
            else:
                self._expand(self.pick(part), out)

    def _fill(self, text):
        out = []
        self._expand(_parse(text), out)

        def slot(match):
            name = match[1]
            if name in self._slots:
                return self._slots[name]
            if name.startswith("the_"):
                return re.sub(r"^an? ", "the ", self._slots[name[4:]])
            value = self._slots[name[0].lower() + name[1:]]
            return value[0].upper() + value[1:]

        return _SLOT.sub(slot, "".join(out))

    def text(self):
        """The whole story, a line for each paragraph."""
        paragraphs = []
        for paragraph in " ".join(self._texts).split("~"):
            paragraph = _SPACE.sub(" ", paragraph).strip()
            paragraph = _BEFORE_STOP.sub(r"\1", paragraph)
            paragraph = _START.sub(
                lambda m: m[1] + m[2].upper(), paragraph)
            if paragraph:
                paragraphs.append(_ARTICLE.sub(r"\1n ", paragraph))
        return "\n".join(paragraphs)

    # Characters. A role is a slot: {hero} the name, {hero_he}, {hero_him},
    # {hero_his}, {hero_self}; {hero_kind} what it is: girl, rabbit ...

    def _be(self, role, name, pronoun, kind):
        he, him, his, self_ = _PRONOUNS[pronoun]
        self.set(**{role: name, role + "_he": he, role + "_him": him,
                    role + "_his": his, role + "_self": self_,
                    role + "_kind": kind})

    def cast(self, *roles):
        """Children, or animals: all of a story are of one world."""
        pronouns = [self.pick(("she", "he")) for _ in roles]
        if self.animals:
            names = self.sample(words.ANIMAL_NAMES, len(roles))
            kinds = self.sample(words.ANIMALS, len(roles))
            for role, name, pronoun, kind in zip(roles, names, pronouns, kinds):
                self._be(role, name, pronoun, kind)
        else:
            names = {"she": self.sample(words.GIRLS, len(roles)),
                     "he": self.sample(words.BOYS, len(roles))}
            for i, (role, pronoun) in enumerate(zip(roles, pronouns)):
                self._be(role, names[pronoun][i], pronoun,
                         "girl" if pronoun == "she" else "boy")
        # Most texts speak of one character more than of others.
        for word in ("he", "him", "his", "self"):
            self._slots[word] = self._slots[f"{roles[0]}_{word}"]

    def cast_adult(self, role="adult"):
        """Someone grown-up whom the hero loves."""
        if self.animals:
            title, pronoun = self.pick(words.ANIMAL_ADULTS)
            name = title.replace("*", self["hero_kind"].capitalize())
        else:
            name, pronoun = self.pick(words.ADULTS)
        self._be(role, name, pronoun, "")

    def cast_neighbour(self, role="neighbour"):
        name, pronoun = self.pick(
            words.ANIMAL_NEIGHBOURS if self.animals else words.NEIGHBOURS)
        self._be(role, name, pronoun, "")

    def place(self):
        """{place}, {at_place} with its preposition, {fun} to be had there."""
        place, at, fun = self.pick(words.PLACES)
        self.set(place=place, at_place=at, fun=fun)

    def open(self):
        """Who the hero is and where."""
        self.set(age=self.pick(("little", "little", "small", "young")),
                 home=self.pick(words.ANIMAL_HOMES if self.animals
                                else words.HOMES),
                 trait=self.pick(words.TRAITS))
        self.tell(self.pick((
            "once upon a time, there was a {age} {hero_kind} named {hero}.",
            "once upon a time, a {age} {hero_kind} named {hero} lived {home}.",
            "there once was a {trait} {hero_kind} named {hero}.",
            "{hero} was a {trait} {hero_kind} who lived {home}.",
            "{home}, there lived a {age} {hero_kind} named {hero}.",
            "{hero} was a {age} {hero_kind} with a big heart.",
        )))
        self.set(color=self.pick(words.COLORS), wear=self.pick(words.WEAR),
                 like=self.pick(words.LIKES), like2=self.pick(words.LIKES),
                 habit=self.pick(words.HABITS))
        if self.chance(0.3):
            self.tell("{he} {habit}.")
        elif self.chance(0.4) and self["like"] != self["like2"]:
            self.tell("{he} liked {like} and {like2}.")
        elif self.chance(0.2):
            self.tell("[everyone liked {him}|everyone knew {him}].")
