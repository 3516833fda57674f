"""Plots about the world outside the door."""
from words import COLORS, FLOWERS, FOODS


def hurt_bird(s):
    s.cast("hero")
    s.cast_adult()
    bird, song = s.pick((("robin", "a bright little song"),
                         ("sparrow", "a happy chirp"),
                         ("blue bird", "a sweet song"),
                         ("blackbird", "a song as clear as water"),
                         ("white dove", "a soft coo"),
                         ("swallow", "a quick twitter")))
    s.place()
    s.set(bird=bird, song=song)
    s.open()
    s.tell("""One [cold|windy] morning, {hero} walked to {place}. There, on the
    ground, lay a {bird}. It [could not fly|tried to fly but fell down again].
    "[Oh, you poor thing|You are hurt]," said {hero} [softly|]. "[I will help
    you|Do not be afraid]." ~
    {he} [picked it up with both hands|put it gently in {his} hat] and carried
    it home. {adult} looked at the {bird} and said, "[Its wing is hurt|One wing
    is sore]. It needs [rest and food|time and a warm place]." They [made a bed
    of soft grass in a box|found a box and filled it with wool]. {hero} gave it
    [water and seeds|crumbs and water] every day and [talked to it|told it
    stories|sang to it]. ~
    [At first the {bird} was very quiet.|At first the {bird} hid in the corner.]
    After [three days|some days], it [ate from {hero}'s hand|hopped around the
    room]. After [a week|two weeks], it opened its wings and flew [in a
    circle|up to the shelf]. "[It is well again|It can fly]!" cried {hero}. ~
    {adult} opened the window. {hero} was [sad, because {he} loved the
    {bird}|happy and sad at the same time]. "[Wild birds need the sky|A bird
    belongs in the sky]," said {adult}. {hero} [nodded|knew that it was true].
    "[Goodbye, little friend|Fly high]!" {he} said. The {bird} [flew up and
    away|sat on the window for a moment, and then it was gone]. ~
    The next [spring|morning], {hero} heard {song} [outside|near the door]. [It
    was the {bird}!|There sat the {bird}.] It [had come back to say thank
    you|had not forgotten {him}].""")


def lost_way(s):
    s.cast("hero", "friend")
    s.cast_adult()
    lure = s.pick(("a yellow butterfly", "a trail of red berries",
                   "a white feather in the wind", "a jumping frog",
                   "a shining beetle", "a very big mushroom"))
    guide, how = s.pick((
        ("the stream", "the stream runs past our home"),
        ("the sun", "the sun goes down behind our home"),
        ("the smoke", "that smoke comes from our chimney"),
        ("the bell", "that bell rings next to our home"),
        ("the big star", "the big star stands over our home")))
    s.set(lure=lure, guide=guide, how=how)
    s.lesson("listen")
    s.open()
    s.tell("""[{adult} always said, "Stay on the path."|"Do not leave the path,"
    {adult} always said.] But one day, {hero} and {his} friend {friend} saw
    {lure} far from the path. [They forgot everything else.|They did not think
    of {adult}'s words.] They went on [over a hill and through the bushes|deeper and
    deeper into the forest|past the tall trees]. ~
    [Then they stopped.|Suddenly everything was quiet.] {hero} looked around. [All the
    trees looked the same.|There was no path anywhere.] "[We are lost,|Where are we?]"
    {friend} said [with a shaking voice|and began to cry]. {hero} [was
    afraid too, but {he} held {friend}'s hand|took a deep breath]. "[Let us
    think|Crying will not help, but thinking will]," {he} said. ~
    {he} [sat very still|closed {his} eyes] and tried to remember what {adult}
    had taught {him}. Then {he} [pointed|jumped up]. "[Look|I know]! There is
    {guide}, and {how}. [We only have to follow it|If we go that way, we will
    find home]." ~
    So they walked and walked. [The bushes scratched their legs.|It got darker
    and colder.] [{friend} wanted to stop, but {hero} said, "Just a little
    more."|They sang a song to keep brave.] And at last they saw [a light in a
    window|the gate of their garden]. {adult} [ran to them|stood there and
    looked for them] and took them both in {adult_his} arms. ~
    "[I am sorry that we left the path|We should have listened]," said {hero}.
    {adult} [gave them warm soup|wrapped them in a blanket] and said, "[I am so
    glad that you are back|You were clever to follow {guide}]." {hero} and
    {friend} had learned that {lesson}.""")


def storm(s):
    s.cast("hero", "friend")
    s.cast_adult()
    s.place()
    s.open()
    s.tell("""{hero} and {friend} were playing {at_place}. [It was a hot
    day.|The air was very still.] Then the sky [turned dark|became gray], and
    the wind began to blow. [Boom!|Rumble, rumble!] "[What was that|Did you hear
    that]?" asked {friend}. "[It was thunder|A storm is coming]," said {hero}.
    "[We must go in|Let us run home]!" ~
    They ran [as fast as they could|hand in hand]. [Big drops fell on their
    heads.|The rain began to fall.] {adult} [opened the door|was waiting at the
    door] and gave them [dry clothes|a towel|a warm blanket]. [Flash!|Crack!]
    The whole room was bright for a moment. {hero} [hid under the table|put
    {his} hands over {his} ears]. "[I do not like storms|Make it stop]!" {he}
    cried. ~
    {adult} sat down [next to {him}|on the floor]. "[Count with me|Let us
    count]," said {adult_he}. "[When you see the light, count until you hear the
    boom. The more you count, the farther away the storm is|The higher we can
    count, the farther away it is]." The next flash came. "One, two, three,"
    they counted. Boom! Then again: "One, two, three, four, five, six." Boom,
    but [softer|quieter]. "It is going away!" said {friend}. ~
    Soon there was [only the rain|just a low rumble far away]. Then the sun came
    out, and over {place} stood a rainbow with all its colors. {hero} and
    {friend} [ran out and jumped in the puddles|danced in the wet grass]. "[The
    storm made this|Without the storm there would be no rainbow]," said {hero}.
    {he} was not afraid [anymore|of storms anymore].""")


def stuck_high(s):
    s.cast("hero", "friend", "tall")
    place = s.pick(("the park", "the meadow", "the garden", "the farm",
                    "the hill"))
    s.set(place=place, color=s.pick(COLORS),
          thing=s.pick(("kite", "balloon", "hat", "scarf", "paper plane")))
    s.lesson("friends")
    s.open()
    s.tell("""{hero} had a new {color} {thing}. {he} took it to {place} to show
    it to {friend}. [It was a windy day.|The wind was strong.] Suddenly, [the
    wind took the {thing} and carried it|the {thing} flew up, up, up,] into
    the top of a tall tree.
    "[Oh no|My {thing}]!" cried {hero}. ~
    {hero} [jumped, but {he} was too small|tried to climb, but the tree was too
    smooth]. {friend} [threw a stick, but it did not reach so high|shook the
    tree, but the {thing} did not move]. [They sat down in the grass and were
    sad.|"It is too high for us," said {friend}.] ~
    Then {tall} came along. {tall} was [older and stronger|bigger] than they
    were. "[What are you looking at|Why do you look so sad]?" asked {tall}.
    {hero} pointed up. "[The {thing} is stuck|My {thing} is up there]." {tall}
    [thought for a moment|scratched {tall_his} head]. "[I cannot reach it
    alone|Even I am too small]. But [what if we stand on each other?"|if you climb
    on my back, and {friend} climbs on yours, we may be tall enough."] ~
    So {hero} climbed on {tall}'s back. {friend} climbed on {hero}'s back. [They
    wobbled to the left, and they wobbled to the right.|"Hold still!" they all
    shouted.] {friend} stretched out {friend_his} arm, higher and higher. "[I
    have it|Got it]!" {friend_he} shouted. Then they all fell down into the
    soft grass and laughed. ~
    "[Thank you, both of you|I could never have done it alone]," said {hero}.
    [They took turns with the {thing} all day.|{he} let {friend} and {tall} play
    with the {thing} first.] {Lesson_first}.""")


def snow(s):
    s.cast("hero", "friend")
    s.cast_adult()
    s.set(nose=s.pick(("a carrot", "a red apple", "a pine cone")),
          eyes=s.pick(("two black stones", "two buttons", "two nuts")),
          hat=s.pick(("an old pot", "a straw hat", "a bucket", "a green hat")),
          name=s.pick(("Mr. Frost", "Snowy", "Big Bob", "Icy", "Mr. Cold")))
    s.open()
    s.tell("""One winter morning, everything was white. "[Snow|It snowed last
    night]!" shouted {hero}. {he} [put on {his} boots and|did not even finish
    breakfast and] ran outside to find {friend}. "[Let us build a snowman|We
    will make the biggest snowman ever]!" ~
    They rolled [a big ball, a smaller ball, and a very small ball|three balls
    of snow]. They took {nose} for the nose and {eyes} for the eyes. {adult}
    [gave them|found] {hat}, and {hero} put it on his head. "[What is his
    name?|He needs a name,]" said {friend}. "[He looks like|I think he is]
    {name}," said {hero}. ~
    Every day they [visited|said hello to] {name} and told him [their
    secrets|jokes]. But then the days grew [warm|warmer]. {name} became [thinner
    and thinner|smaller and smaller]. One morning, there was only {hat} [in a
    puddle|on the wet grass], with {nose} next to it. {hero} [cried|was very
    sad]. "[{name} is gone|He left us without a goodbye]," {he} said. ~
    {adult} [took {his} hand|knelt down]. "[Snow becomes water, and water goes
    into the ground and makes the flowers grow|The water will go up into the
    clouds, and one day it will be snow again]," {adult_he} said. "[So he is not
    really gone|So he is only on a long trip]." {hero} thought about that. ~
    [A few weeks later, flowers grew in the place where {name} had stood. "Look,"
    said {friend}, "he says hello!"|When the next winter came, {hero} and
    {friend} rolled three new balls. "Welcome back, {name}," said {hero}.]""")


def treasure(s):
    s.cast("hero", "friend")
    first, second, third = s.sample(
        ("the old well", "the big rock", "the broken gate", "the tallest tree",
         "the little bridge", "the blue door", "the stone wall",
         "the hollow log"), 3)
    treasure_, use = s.pick((
        ("a box of colored chalk", "drew pictures on every wall they were "
         "allowed to"),
        ("an old book of stories", "read a story every evening"),
        ("a bag of seeds", "planted a garden for everyone"),
        ("a small golden bell", "rang it to call all their friends"),
        ("a box of glass beads", "made a necklace for everyone"),
        ("two wooden flutes", "played music until the stars came out")))
    s.set(first=first, second=second, third=third, treasure=treasure_, use=use,
          steps=s.pick(("ten", "five", "seven", "three")))
    s.open()
    s.tell("""One day, {hero} found [a map in an old book|a bottle with a piece
    of paper in it|a piece of paper under a stone]. "[It is a treasure map|Look,
    there is a big X on it]!" {he} said to {his} friend {friend}. "[Let us
    follow it|We must find it]!" ~
    The map said, "Start at {first}." They [ran|walked] to {first}. There they
    found [an arrow made of stones|a sign] that pointed to {second}. [The way
    was long and full of thorns.|{friend} wanted to rest, but {hero} was too
    excited.] At {second} they read, "Now go to {third} and take {steps} steps
    to the left." ~
    At {third} they [counted out loud|counted together] and took {steps} steps.
    Then they began to dig. [They dug and dug.|Their hands got very dirty.]
    [Clunk!|Thump!] There was something hard. It was a [small|wooden] chest!
    "[Do you think that it is gold?|Maybe it is full of gold,]" whispered
    {friend}. ~
    {hero} opened it slowly. [There was no gold in it.|It was not gold.] It was
    {treasure}, with a note. The note said, "[To those who find this: share it,
    and it will never be empty|The best treasure is the one that you share]."
    {hero} and {friend} looked at each other and smiled. They took {the_treasure}
    home and {use}. [Then they made a new map, put a note in the chest, and hid
    it for someone else.|It was better than gold.]""")


def race(s):
    s.cast("hero", "slow")
    s.cast_neighbour()
    stop = s.pick(("took a nap in the shade", "stopped to eat berries",
                   "stopped to talk to a bird", "looked at {self} in a pond",
                   "lay down to look at the clouds"))
    s.set(stop=stop, goal=s.pick(("the old mill", "the big oak", "the bridge",
                                  "the red barn", "the top of the hill")))
    s.lesson("practice")
    s.open()
    s.tell("""{hero} could run very fast and [told everyone about it|was proud
    of it]. "[Nobody is as fast as I am|I am the fastest of all]," {he} said
    every day. {hero} laughed at {slow}, [who walked slowly|who was never in a
    hurry]. "[You are so slow that the grass grows faster|It takes you a day to
    cross the road]!" ~
    "[Let us have a race|I will race you]," said {slow} [quietly|with a smile].
    "To {goal}." {hero} [laughed until {his} belly hurt|thought that this was
    very funny]. {neighbour} [came to be the judge|said, "One, two, three,
    go!"], and all their friends came to watch. ~
    {hero} [ran off like the wind|was soon far ahead]. {he} looked back and
    could not even see {slow}. "[I have so much time|There is no need to
    hurry]," {he} thought, and {he} {stop}. [The sun moved across the sky.|Time
    went by.] But {slow} [went on, step by step by step|did not stop once]. ~
    When {hero} [looked up|remembered the race], {he} saw {slow} [close to|just
    in front of] {goal}! {hero} ran and ran [as never before|with all {his}
    might], but it was too late. {slow} [crossed the line|touched {goal}] first.
    [All the friends cheered.|"{slow} has won!" called {neighbour}.] ~
    {hero} was [ashamed|very quiet]. {he} went to {slow} and said, "[You won. I
    am sorry that I laughed at you|I was wrong to laugh. You never gave up]."
    {slow} [gave {him} {slow_his} hand|smiled]. "[Let us walk home together|Next
    time we can run together]," {slow_he} said. And so they did[, slowly, and
    saw many things that {hero} had never seen before|].""")


def picnic(s):
    s.cast("hero", "friend", "third")
    foods = s.sample(FOODS, 3)
    s.set(food=foods[0], food2=foods[1], food3=foods[2],
          flowers=s.pick(FLOWERS), color=s.pick(COLORS))
    s.place()
    thief, the_thief = s.pick((
        ("a long line of ants", "the ants"), ("two black crows", "the crows"),
        ("three very small birds", "the birds"),
        ("a goose with five babies", "the geese")))
    s.set(thief=thief, the_thief=the_thief)
    s.lesson("share")
    s.open()
    s.tell("""It was a [sunny|warm|fine] day. "Let us have a picnic {at_place}!"
    said {hero}. {friend} brought a {food2}, {third} brought a {food3}, and
    {hero} brought a {food} and a {color} blanket. [They put everything on the
    blanket.|They spread the blanket next to some {flowers}.] Then they {fun}
    until they were hungry. ~
    When they came back, [something was wrong|they stopped]. The {food} was
    gone! "[Who took it|Where is it]?" asked {hero}. "[I did not take it|It was
    not me]," said {friend}. "[It was not me|I did not eat it]," said {third}.
    [For a moment, they looked at each other with angry eyes.|They almost began
    to fight.] ~
    "Look!" said {third}. [There were crumbs in the grass.|There was a trail of
    crumbs.] They followed the crumbs [around a bush|to a tree], and there they
    saw {thief}. [They were having a picnic too!|What a feast that was!]
    [Everyone laughed.|The three friends began to laugh.] "[I am sorry that I
    thought it was you|We should not have blamed each other]," said {hero}. ~
    They [went back to the blanket and|] shared the {food2} and the {food3} in
    three parts. [They even left some crumbs for {the_thief}.|"And a bit for
    {the_thief}," said {friend}.] {Lesson_first}, and it was [the best picnic
    ever|a lovely day].""")


PLOTS = (hurt_bird, lost_way, storm, stuck_high, snow, treasure, race, picnic)
