"""Plots about friends, and some with a little magic."""
from words import COLORS, TOYS


def newcomer(s):
    s.cast("hero", "friend")
    s.place()
    s.set(toy=s.pick(COLORS) + " " + s.pick(TOYS),
          reason=s.pick(("I do not know anyone here",
                         "I am afraid that nobody likes me",
                         "I do not know your games",
                         "all my friends are far away")))
    s.lesson("kind")
    s.open()
    s.tell("""One day, someone new came to live next door. It was a {friend_kind}
    named {friend}. [{hero} saw {friend_him} at the window.|{hero} said hello,
    but {friend} looked at the ground.] {friend} [never came out to play|stayed
    alone all day]. "[Why does {friend_he} not play with us?|Maybe {friend_he} is
    sad,]" thought {hero}. ~
    {hero} [had an idea|thought about it all night]. The next morning, {he} took
    {his} {toy} and [knocked at the door|went to {friend}'s door]. {friend}
    opened it just a little. "[I am {hero}. Do you want to see my {toy}|Would
    you like to play with my {toy}]?" asked {hero}. {friend} [looked at the
    {toy} for a long time|smiled a very small smile]. "[I would like that, but
    {reason}|I am shy, because {reason}]," {friend_he} said. ~
    "[I was new here once, too|That is all right]," said {hero}. "[Now you know
    me|Come with me, and I will show you everything]." They went to {place}
    together, where they {fun}. [{friend} began to laugh.|Soon {friend} was not
    shy anymore.] {friend} even [taught {hero} a new game|showed {hero} a trick
    with the {toy}]. ~
    In the evening, {friend} said, "[This morning I had no friend, and now I have
    one|Today was my best day here]." "[And tomorrow you will have more|Tomorrow
    we will play again]," said {hero}. And [so it was|that is what
    happened]. {hero} saw that {lesson}.""")


def quarrel(s):
    s.cast("hero", "friend")
    s.cast_adult()
    s.set(toy=s.pick(COLORS) + " " + s.pick(TOYS), game=s.pick((
        "a castle out of boxes", "a tent out of blankets",
        "a tower out of blocks", "a ship out of chairs",
        "a road for little cars")))
    s.lesson("share")
    s.open()
    s.tell("""{hero} and {friend} were best friends. [They did everything
    together.|They played every day.] One day, they both wanted the same {toy}.
    "[I had it first|It is mine]!" said {hero}. "[No, I want it|You always get
    it]!" said {friend}. They pulled and pulled, until [the {toy} fell in the
    mud|it fell to the floor and got a scratch]. ~
    "[It is your fault|Look what you did]!" they both shouted. {friend} [went
    home|ran away]. {hero} [sat alone in {his} room|kicked a stone]. {he} [had
    the {toy} now, but it was no fun to play alone|cleaned the {toy}, but {he}
    did not want to play]. ~
    "[Why are you so quiet|Where is {friend}]?" asked {adult}. {hero} told
    {adult_him} [everything|about the {toy}]. {adult} [thought for a
    while|nodded slowly]. "[What do you miss more, the {toy} or {friend}|Is the
    {toy} worth more than a friend]?" {adult_he} asked. {hero} did not have to
    think. "[I miss {friend}|{friend} is worth much more]," {he} said. ~
    {he} took the {toy} and went to {friend}'s home. But {friend} was already
    on the way to {him}! They met [in the middle|at the corner]. "[I am
    sorry|I am sorry that I shouted]," said {hero}. "[I am sorry too|Me too],"
    said {friend}. [They laughed because they had said it at the same
    time.|They hugged.] "You can have it first," they both said. ~
    In the end, they [built|made] {game} and put the {toy} [at the top|right in
    the middle], where it [belonged to both of them|was for both]. {Lesson_first}.""")


def skill(s):
    s.cast("hero", "friend")
    s.cast_adult()
    what, fail, hint, success = s.pick((
        ("swim", "sank like a stone and came up with a cough",
         "lie on the water as if it were a bed",
         "swam all the way to the other side"),
        ("ride a bike", "fell to the left and then to the right",
         "look ahead and not at your feet",
         "rode down the whole road with the wind in {his} face"),
        ("whistle", "made only a sound like wind",
         "make a small round mouth and blow softly",
         "whistled a whole song, and even the birds listened"),
        ("skate", "slipped and sat down on the cold ice",
         "bend your knees and push with one foot",
         "went around the pond without a single fall"),
        ("catch a ball", "let it fall every time",
         "keep your eyes on the ball until it is in your hands",
         "caught ten balls, one after the other"),
        ("tie a knot", "had only a mess of string",
         "make a loop and go around it once",
         "tied a knot that even the wind could not open"),
        ("climb the big tree", "slid down again and got a scratch",
         "find a good place for each foot first",
         "sat on the highest branch and saw the whole world"),
        ("play the flute", "made such a noise that the cat ran away",
         "start with one note and make it beautiful",
         "played a sweet tune for everyone"),
        ("jump rope", "got {his} feet caught in the rope",
         "listen to the sound of the rope and count",
         "jumped a hundred times without a stop")))
    s.set(what=what, fail=fail, hint=hint, success=success)
    s.lesson("practice")
    s.open()
    s.tell("""More than anything else, {hero} wanted to learn to {what}. {friend}
    could {what} very well. [It looked so easy.|It did not look hard.] So {hero}
    tried it too. But {he} {fail}. {he} tried again, and {he} {fail}. "[I will
    never learn it|I am just not good at this]," said {hero} [with tears in
    {his} eyes|and wanted to give up]. ~
    {adult} had seen it. "[It took me a whole summer to learn it|When I was
    small, I could not do it either]," said {adult}. "[Try this|Here is a
    secret]: {hint}." {hero} [wiped {his} eyes|stood up]. {he} tried it as
    {adult} had said. [It was a little better.|This time it almost worked.]
    "[You see|That was good]!" said {adult}. ~
    So {hero} practiced [every morning|every day after breakfast]. Some days
    were good, and some days were bad. [{friend} came to help and
    clapped.|{friend} told {him} not to give up.] And then, one [bright|quiet]
    morning, {hero} {success}! "[I can do it|Look at me]!" {he} shouted. {friend}
    and {adult} [cheered|clapped their hands]. ~
    [That night, {hero} was tired and happy.|{hero} was so proud.] {he} had
    learned to {what}, and {he} had learned that {lesson}.""")


def soup(s):
    s.cast("hero", "friend", "third", "fourth")
    things = s.sample(("a carrot", "a potato", "an onion", "a bit of salt",
                       "a handful of beans", "a cup of milk", "some mushrooms",
                       "a sweet turnip", "some green herbs"), 3)
    s.set(one=things[0], two=things[1], three=things[2],
          weather=s.pick(("cold", "rainy", "windy", "snowy")))
    s.lesson("friends")
    s.open()
    s.tell("""It was a {weather} evening, and {hero} was hungry. {he} had a big
    pot and a fire, but nothing to put in the pot [but water|except water]. "[I
    will make stone soup|Then I will cook a soup from a stone]," said {hero}
    with a smile, and {he} put a [round|smooth] stone in the pot. ~
    {friend} [smelled the smoke|saw the fire] and came. "What are you cooking?"
    asked {friend}. "Stone soup," said {hero}. "[It is good, but {one} would make
    it better|It only needs {one}]." "I have {one}!" said {friend} and [ran home
    to get it|put it in the pot]. ~
    Then {third} came. "[That smells nice|What is in the pot]?" asked {third}.
    "Stone soup with {one}," said {hero}. "[If only we had {two}|It would be
    wonderful with {two}]." "I can bring {two}!" said {third}. And so it went
    into the pot, too. ~
    At last {fourth} [came by with a cold nose|knocked at the door]. "May I have
    some soup?" asked {fourth}. "[Of course|Yes], but [it still needs
    {three}|there is no soup without {three}]," said {hero}. {fourth}
    [laughed|smiled] and [took {three} from {fourth_his} bag|went to get
    {three}]. ~
    Soon the soup was [hot and thick|ready], with {one}, {two}, and {three}.
    [The four friends sat around the fire and ate until the pot was empty.|They
    all ate two bowls.] Only the stone was left. "[What a good stone|We must keep
    this stone]!" said {friend}. {hero} [laughed|winked]. {Lesson_first}.""")


def wishes(s):
    s.cast("hero")
    s.cast_adult()
    giver, giver_he, giver_him, spot, out = s.pick((
        ("a tiny fairy", "she", "her", "in a spider web", "out of the web"),
        ("a silver fish", "he", "him", "in a net", "out of the net"),
        ("a little star", "she", "her", "in the grass", "back into the sky"),
        ("a small green elf", "he", "him", "under a stone", "to get out"),
        ("a talking bee", "she", "her", "in a jar", "out of the jar")))
    greedy, trouble = s.pick((
        ("that everything {he} touched turned into candy",
         "{his} bed was candy, {his} shoes were candy, and even the water was "
         "candy"),
        ("that it was summer every day",
         "it was so hot that the flowers dried up and the pond was empty"),
        ("to be as big as a house",
         "{he} did not fit through the door and could not hug anyone"),
        ("for a hundred {many}", "there was no room left to sit, to eat, or to "
         "sleep"),
        ("that it was never night", "nobody could sleep, and everyone was "
         "tired and angry"),
        ("that nobody would ever tell {him} what to do",
         "nobody talked to {him} at all")))
    s.set(many=s.pick(("kittens", "drums", "ponies", "balls", "pumpkins")))
    s.set(giver=giver, giver_he=giver_he, giver_him=giver_him, spot=spot,
          out=out, greedy=greedy, trouble=trouble,
          small=s.pick(("a warm coat for {adult}", "a new friend",
                        "a full basket of bread for everyone",
                        "a good rain for the garden")))
    s.lesson("greedy")
    s.open()
    s.tell("""One day, {hero} found {giver} {spot}. "[Please help me|I cannot get
    out]!" said a thin voice. {hero} was [surprised|kind and did not wait]. {he}
    helped {giver_him} {out}. "[You have a good heart|Thank you]," said {the_giver}. "You
    have three wishes. [Use them well|Think before you speak]." ~
    {hero} [did not think for long|was too excited to think]. {he} wished
    {greedy}. [There was a puff of smoke|Pling], and it came true! At first it
    was [fun|wonderful]. But then {trouble}. "[This is terrible|What have I
    done]!" cried {hero}. ~
    {he} ran to {adult}. "[What should I do?|I have wished for something
    foolish,]" {he} said. {adult} [listened|shook {adult_his} head and smiled].
    "[You still have two wishes|What is wished can be wished away]," said
    {adult_he}. So {hero} used the second wish to make everything as it was
    before. [How good it was to be normal again!|{hero} had never been so glad.]
    ~ Now there was one wish left. This time, {hero} [thought for a whole
    day|sat down and thought for a long time]. In the end, {he} wished for
    {small}. {the_giver} [smiled|nodded]. "[That is a good wish|Now you are wise],"
    {giver_he} said, and [was gone|was gone like a spark of light]. And {hero} knew
    that {lesson}.""")


def wolf(s):
    s.cast("hero", "friend")
    s.cast_neighbour()
    cry, real = s.pick((("The river is coming over the bridge",
                         "water ran over the bridge"),
                        ("The goats are in the cabbage",
                         "the goats jumped over the fence and ate the cabbage"),
                        ("There is a fire in the hay", "smoke came out of the "
                         "hay"),
                        ("The wolf is here", "a big gray wolf came out of the "
                         "forest"),
                        ("The cow has run away",
                         "the cow broke the gate and ran away")))
    s.set(cry=cry, real=real)
    s.lesson("truth")
    s.open()
    s.tell("""{hero} had to [watch the animals|keep watch] all day, and it was
    [boring|very quiet]. So {he} [had a bad idea|wanted to have some fun].
    "Help!" {he} shouted. "{cry}!" {friend} and {neighbour} [dropped everything
    and|] came running. But [nothing was wrong|everything was fine]. {hero}
    laughed and laughed. "[It was only a joke|I tricked you]!" ~
    The next day, {hero} did it again. "Help! {cry}!" {friend} and {neighbour}
    came [running again|as fast as they could]. {hero} [rolled on the ground
    with laughter|laughed even more]. "[This is not funny|You must not do that],"
    said {friend} [with an angry face|and went away]. "[If you lie, nobody will
    believe you when it is true|One day you will need us]," said {neighbour}. ~
    On the third day, {real}. This time it was [real|true]! "Help!" shouted
    {hero}. "Please come! {cry}!" [But nobody came.|{friend} heard it but thought
    that it was another joke.] {hero} shouted until {he} had no voice left.
    [Then {he} ran all the way to {friend}.|At last {he} ran to {friend}'s
    door.] "[It is true this time|I promise that it is true]," {he} said, and
    {his} face was so white that {friend} believed {him}. ~
    Together with {neighbour}, they [worked until night|did all they could], and
    in the end [everything was saved|all was well again]. {hero} [looked at the
    ground|was ashamed]. "[I will never lie again|I am sorry that I tricked
    you]," {he} said. [And {he} never did.|They forgave {him}.] {hero} had
    learned that {lesson}.""")


def mystery(s):
    s.cast("hero", "friend")
    s.cast_neighbour()
    things, mark, reason = s.pick((
        ("eggs", "small feathers", "keep them warm for a sick hen"),
        ("apples", "little bite marks",
         "make apple juice for everyone as a surprise"),
        ("blankets", "threads of wool", "make a bed for a cat with kittens"),
        ("carrots", "bits of dirt", "feed a lost pony in the old barn"),
        ("flowers", "yellow petals", "make a crown for your birthday"),
        ("boards", "a line of dust", "build a house for the birds"),
        ("ribbons", "a bit of red silk", "mark the path so that nobody gets "
         "lost")))
    s.set(things=things, mark=mark, reason=reason)
    s.open()
    s.tell("""Something strange was going on. Every morning, some of {hero}'s
    {things} were gone. [On Monday there were ten, on Tuesday eight, and on
    Wednesday only five.|Each day there were fewer.] "[Who takes my {things}?|This
    is a mystery,]" said {hero}. "[I will find out|I will be a detective]!" ~
    {hero} looked for clues. On the ground {he} found {mark}. {he} followed them
    [along the fence|around the house and over the yard]. [They led to the home
    of {neighbour}.|They stopped at the door of {neighbour}.] "Have you taken my
    {things}?" asked {hero}. "[No, but I heard soft steps last night|It was not
    me, but I saw a small light at night]," said {neighbour}. ~
    So {hero} decided to stay awake. {he} [hid behind a barrel|sat in the dark
    and waited]. [The moon rose.|It was hard not to fall asleep.] Then {he} heard
    steps. Someone came with a lamp and took some {things}. {hero} jumped out.
    "Stop!" {he} shouted. The lamp shook. It was {friend}! ~
    "[Please do not be angry|I can explain]," said {friend}. "I took the {things}
    to {reason}. [I wanted to tell you, but I did not know how|I wanted to tell
    you tomorrow]." {hero} [looked at {friend} for a long time|was angry for a
    moment]. Then {he} smiled. "[You only had to ask|You could have asked me],"
    {he} said. "[I will help you|We can do it together]." ~
    And [that is what they did|so they did]. {friend} [promised to ask next
    time|said that {friend_he} was sorry], and {hero} was [happy that the mystery
    had such a kind answer|proud to have found the answer].""")


def moving(s):
    s.cast("hero", "friend")
    s.cast_adult()
    s.set(gift=s.pick(("a smooth white stone", "a shell", "a blue button",
                       "half of a coin", "a dried flower", "a red ribbon")),
          far=s.pick(("behind the mountains", "on the other side of the sea",
                      "in another land", "on an island", "far in the north")))
    s.place()
    s.lesson("friends")
    s.open()
    s.tell("""{hero} and {friend} met {at_place} every day. But one day, {friend}
    came with [a sad face|slow steps]. "[We are going away|I have to move],"
    {friend_he} said. "[Our new home is {far}|We will live {far}]." {hero} [could
    not say a word|felt a lump in {his} throat]. "[But who will play with
    me|When will I see you again]?" {he} asked at last. ~
    On the last day, {friend} gave {hero} {gift}. "[Hold it when you miss me|I
    have one just like it]," {friend_he} said. "[Then you will know that I am
    thinking of you|So we will both have one]." {hero} [waved until the cart was
    only a dot|waved for a long time]. ~
    The days were [long|gray] after that. {hero} [sat {at_place} alone|did not
    want to play]. "[Why do you not write a letter?|A letter can travel where you
    cannot,]" said {adult}. So {hero} [wrote about the rain and the birds|drew a
    picture of {place}] and sent it to the new home. {he} waited and waited. ~
    Then, one morning, a letter came. "[Dear {hero}|To my dear friend {hero}],"
    it said, "[I was so happy about your letter|I read your letter ten times]. [I
    hold my gift every night.|There is a big tree here. You would love it.] Come
    and see me in the summer. Your {friend}." {hero} [danced through the
    house|read it again and again]. ~
    In the summer, {hero} and {adult} [made the long trip|went on a long trip].
    {friend} stood [at the gate|on the road] and waved with both arms. [It was as
    if they had never been apart.|They talked until the stars came out.] {hero}
    still had {the_gift} in {his} pocket. {Lesson_first}.""")


PLOTS = (newcomer, quarrel, skill, soup, wishes, wolf, mystery, moving)
