"""Plots about a home, its people and its things."""
from words import CAKES, COLORS, CROPS, FLOWERS, FOODS, HIDDEN, TOYS


def lost_toy(s):
    s.cast("hero", "friend")
    s.cast_adult()
    spot, state = s.pick(HIDDEN)
    wrong = s.sample([h for h, _ in HIDDEN if h != spot], 2)
    s.set(thing=s.pick(COLORS) + " " + s.pick(TOYS), spot=spot, state=state,
          wrong=wrong[0], wrong2=wrong[1])
    s.open()
    s.tell("""{he} had a {thing} and [loved it very much|took it everywhere|
    played with it every day]. [It was a gift from {adult}.|{adult} had made it
    for {him}.|] ~
    One [day|morning|afternoon], the {thing} was [gone|not there]. {hero} [felt
    very sad|began to cry|did not know what to do]. [{he} looked {wrong}, but it
    was not there. {he} looked {wrong2}, but it was not there.|First {he} looked
    {wrong}. Then {he} looked {wrong2}. There was no {thing} at all.] ~
    {friend} [came by|heard {him}|saw {his} face] and asked, "[What is wrong|Why
    are you sad], {hero}?" "[I lost my {thing}|My {thing} is gone|I cannot find
    my {thing}]," said {hero}. "[Do not worry|Do not cry]," said {friend}. "[I
    will help you look|We will find it together|Four eyes see more than two]."
    ~ They [looked and looked|walked around and looked at everything]. {adult}
    [told them to think about yesterday|asked where {hero} had played
    yesterday]. {hero} [thought hard|closed {his} eyes and thought]. "[I
    remember now|Oh, I know], I was playing {spot}!" {he} [said|cried|shouted].
    They ran there as fast as they could. And there, {spot}, was the {thing}! It
    was {state}, [but {hero} did not mind|but it was not broken]. ~
    [{hero} hugged {friend}.|"Thank you, {friend}," said {hero}.] [From that day
    on, {he} always put the {thing} back in its place.|That night, {he} put the
    {thing} next to {his} pillow and slept well.|They played with the {thing}
    until the sun went down.]""")


def broken_thing(s):
    s.cast("hero")
    s.cast_adult()
    thing, use = s.pick((("blue vase", "held the flowers"),
                         ("big white plate", "was used for cake"),
                         ("old clock", "told the time"),
                         ("glass bowl", "held the fruit"),
                         ("brown jug", "held the milk"),
                         ("green cup", "was for tea")))
    s.set(thing=thing, use=use, toy=s.pick(TOYS))
    s.lesson("truth")
    s.open()
    s.tell("""{hero} lived with {adult}, who had a {thing}. It [{use}|{use}, and
    {adult} loved it]. {adult} often said, "[Please do not play near the
    {thing}|Be careful with the {thing}], {hero}." ~
    One [rainy|cold|long] day, {hero} [was bored and|] played with a {toy}
    inside. {he} [ran around the table|jumped up and down|was not careful].
    [Crash!|Bang!|Oh no!] The {thing} fell [down|to the floor] and broke [into
    many pieces|in two]. {hero} [was scared|felt very bad|could hear {his} heart
    beat]. ~
    [{he} wanted to hide the pieces.|"I could say that the wind did it," {he}
    thought.|{he} wanted to run away.] But {he} knew that this would [be
    wrong|be a lie|make it worse]. So {he} [went to|looked for] {adult} and
    said, "[I am sorry|I am so sorry]. I broke the {thing} when I was playing."
    ~ {adult} was [quiet for a moment|a little sad]. Then {adult_he} [sat
    down|smiled] and said, "[Thank you for telling me the truth|It was brave to
    tell me]. A {thing} is only a thing. [You are more important|I am glad that
    you are not hurt]." ~
    Together they [picked up the pieces|swept the floor]. [Then they used glue,
    and soon the {thing} stood on the shelf again, with thin lines all over
    it.|The next day, {hero} gave {adult} a new one that {he} had made from
    clay.|They put a flower where the {thing} had been.] {hero} learned that
    {lesson}.""")


def birthday(s):
    s.cast("hero", "friend")
    s.cast_adult()
    s.set(cake=s.pick(CAKES), flowers=s.pick(FLOWERS), color=s.pick(COLORS))
    missing, where = s.pick((("flour", "the mill"), ("honey", "the bees"),
                             ("eggs", "the hens"), ("milk", "the farm"),
                             ("butter", "the shop"), ("nuts", "the forest"),
                             ("berries", "the hill")))
    s.set(missing=missing, where=where)
    s.open()
    s.tell("""[Tomorrow was {adult}'s birthday.|It was almost {adult}'s
    birthday.] "[What can I give {adult_him}|What does {adult_he} like best]?"
    {hero} [thought|asked {his} friend {friend}]. [At last {he} had an
    idea.|Then {he} smiled.] "[I will bake {cake}|We can make {cake}]!" ~
    {hero} and {friend} [went into the kitchen|got a big bowl]. But there was
    [no {missing}|not enough {missing}]! "[We cannot bake without {missing},|What
    now?|And now?]" said {friend}. "[Then we will go to {where}|We can
    find {missing} at {where}]," said {hero}. So they [took a basket and|put on
    their hats and] walked to {where}. [It was a long way, but they sang all the
    time.|On the way they picked some {flowers}.] They came back with [enough
    {missing}|a basket full of {missing}]. ~
    They [mixed and stirred|stirred until their arms hurt]. {friend} [got some
    on {friend_his} nose|dropped a spoon], and they both laughed. Soon [the
    whole house smelled sweet|it was ready]. They put it on the table with [a
    {color} ribbon|a {color} cloth|some {flowers}]. ~
    In the morning, {adult} [came in|opened the door] and [could not believe
    {adult_his} eyes|stood very still]. "[Happy birthday|Surprise]!" shouted
    {hero} and {friend}. {adult} [hugged them both|had tears of joy in
    {adult_his} eyes]. ["This is the best birthday of my
    life," {adult_he} said.|"You made this for me?" {adult_he} asked. "You are
    the sweetest of all."] [They ate {cake} together, and not a crumb was
    left.|Everyone had a piece, and it was very good.]""")


def seed(s):
    s.cast("hero", "friend")
    s.cast_adult()
    crop, grown = s.pick(CROPS)
    s.set(crop=crop, grown=grown)
    s.lesson("patient")
    s.open()
    s.tell("""One spring day, {adult} gave {him} a tiny {crop} seed. "[Put it in
    the ground and give it water|Plant it and take good care of it]," said
    {adult}. {hero} [dug a small hole|found a sunny spot] and put the seed in.
    {he} gave it [some water|a cup of water]. ~
    The next day, {hero} ran out to look. [Nothing was there.|There was only
    dirt.] [{he} watered it again.|{he} sang a song to it.] The day after,
    [there was still nothing|it was the same]. "[It does not work|My seed is
    broken|It will never grow]," {he} said. {friend} [laughed and said|said],
    "[Seeds are slow|You cannot see it, but it is working under the ground]."
    {adult} [nodded|smiled]. "Be patient, {hero}." ~
    So {hero} waited. [The rain came, and the sun came.|Days went by.|A week
    went by, and then another.] {he} [pulled the weeds|kept the birds away] and
    never forgot the water. Then, one morning, [there was a tiny green leaf|a
    small green tip looked out of the ground]! {hero} [jumped for joy|danced
    around it|called everyone]. ~
    By the end of the summer, there was {grown}. [{friend} said that it was the
    finest {crop} {friend_he} had ever seen.|{hero} showed it to {friend} and
    {adult}.] {hero} kept [one seed|some seeds] for the next spring. {he} had
    learned that {lesson}.""")


def too_many(s):
    s.cast("hero", "friend")
    s.cast_adult()
    one, many = s.pick((("cookie", "cookies"), ("plum", "plums"),
                        ("pancake", "pancakes"), ("muffin", "muffins"),
                        ("bun", "buns"), ("cherry", "cherries")))
    s.set(one=one, many=many, number=s.pick(("ten", "twelve", "twenty")))
    s.open()
    s.tell("""{adult} had a plate with {number} {many}. "[They are for the party
    tonight|They are for all of us], so please [wait|take only one]," said
    {adult}. Then {adult_he} went [out|to the market|to get some water]. ~
    The {many} smelled [so good|sweet and warm]. {hero} took one {one}. [Yum!|It
    was so good!] "[Just one more|Nobody will see]," {he} said and took another.
    And another. [Soon the plate was empty.|Before {he} knew it, all the {many}
    were gone.] ~
    Then {his} [belly|tummy] began to hurt. [{he} lay down on the floor.|{he}
    sat down and groaned.] {friend} came [to play|to the door], but
    {hero} could not [play|get up]. "[What happened|Are you sick]?" asked
    {friend}. "I ate all the {many}," said {hero} in a small voice. ~
    When {adult} came back, {hero} [told {adult_him} everything|said, "I am
    sorry"]. {adult} [made some tea for {him}|put a warm cloth on {his} belly]
    and said, "[I think your belly has told you enough|Now you know why I asked
    you to wait]." [The next day, {hero} helped to make new {many}|As soon as
    {he} was well, {hero} made new {many} with {friend}], and this time {he}
    gave them to [all the others|everyone] first. {he} ate only one {one}, and
    it [was the best of all|tasted better than all the ones before].""")


def bedtime(s):
    s.cast("hero")
    s.cast_adult()
    noise, cause = s.pick((
        ("a tap, tap, tap at the window", "a thin branch that moved in the "
         "wind"),
        ("a soft scratch under the floor", "a tiny mouse with a nut"),
        ("a long, low hoo", "an owl on the roof that was singing to the moon"),
        ("a drip, drop, drip", "the rain that fell into a bucket"),
        ("a low hum", "a sleepy bee that could not find the way out"),
        ("a creak, creak, creak", "the old gate that nobody had closed")))
    s.set(noise=noise, cause=cause)
    s.open()
    s.tell("""One night, {hero} could not sleep. [{he} turned to the left, and
    {he} turned to the right.|{he} counted to ten, and then to twenty.] [The
    room was dark|It was dark], and there was {noise}. "[It is a monster|Someone
    is there]!" {he} whispered and [pulled the blanket over {his} head|hid
    under the blanket]. ~
    [At last {he} called for {adult}.|{he} called, and {adult} came at once.]
    {adult} [sat on the bed|held {his} hand] and listened. There it was again:
    {noise}. "[Let us go and see|Come, we will look together]," said {adult}.
    {hero} [was afraid|did not want to], but {he} [took {adult}'s hand|was
    curious too]. With a [small lamp|candle], they [went to look|walked step by
    step]. ~
    And what was it? It was only {cause}. {hero} [laughed out loud|had to
    laugh]. "[That is no monster|And I was scared of that]!" {he} said. "[Things
    look bigger in the dark|The dark likes to play tricks]," said {adult}. ~
    Back in bed, {adult} [told a short story|sang a soft song]. [The moon looked
    in.|The stars were bright.] {hero} heard the noise once more, but now it was
    [like a song|an old friend]. {he} closed {his} eyes and [slept until the
    morning|was soon asleep].""")


def lunch(s):
    s.cast("hero", "friend")
    s.set(food=s.pick(FOODS), food2=s.pick(FOODS), flowers=s.pick(FLOWERS))
    s.open()
    s.tell("""Every day, {hero} [went to school|walked down the long path] with
    {his} lunch in a [bag|little basket]. Today it was a {food}. {he} [could not
    wait to eat it|had thought of it all morning]. ~
    At noon, {he} sat down [under a tree|in the shade]. Then {he} saw {friend},
    a {friend_kind} who [sat alone|looked at the ground]. {friend} had [nothing
    to eat|no lunch]. "[Where is your lunch|Are you not hungry]?" asked {hero}.
    "[I dropped it in the mud|A bird took it|I forgot it at home]," said
    {friend}. {friend_his} belly [made a loud noise|growled]. ~
    {hero} looked at the {food}. [It was not very big.|It was just enough for
    one.] But {he} [broke it in two|cut it into two halves] and gave {friend}
    the [bigger|other] half. "[Here, this is for you|Eat with me]," {he} said.
    {friend} [smiled for the first time that day|ate it at once]. "[Thank you,
    that is very kind|You are a true friend]," said {friend}. ~
    The next day, {friend} was waiting [under the tree|at the same place].
    {friend_he} had brought a {food2} [and some {flowers}|]. "[Half of it is
    yours|Now it is my turn to share]," {friend_he} said. From then on, they ate
    together every day, and [both halves tasted better than a whole|nobody was
    hungry or alone].""")


PLOTS = (lost_toy, broken_thing, birthday, seed, too_many, bedtime, lunch)
