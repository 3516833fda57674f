"""Who and what the stories are about."""

GIRLS = ("Anna Lily Mia Emma Sara Ruby Ella Nora Lucy Rosa Ivy Zoe Maya Lena "
         "Amy Clara Tess Kate June Molly Ada Eva Lola Nina Jane Alice").split()
BOYS = ("Tom Ben Max Sam Leo Jack Tim Noah Finn Theo Luke Oscar Eli Hugo Adam "
        "Paul Will Dan Joe Peter Mark Alex Omar Carl Ray Felix").split()

ANIMALS = ("rabbit fox bear mouse squirrel hedgehog duck frog turtle cat dog "
           "hen pony deer beaver otter mole goat lamb pig").split()
ANIMAL_NAMES = ("Pip Milo Hazel Bramble Nutmeg Clover Biscuit Dot Fern Otto "
                "Pebble Willow Rusty Poppy Coco Sunny Acorn Tuck Moss Juniper "
                "Bean Daisy Barley Tilly").split()

ADULTS = (("Mom", "she"), ("Mom", "she"), ("Dad", "he"), ("Dad", "he"),
          ("Grandma", "she"), ("Grandpa", "he"), ("Aunt May", "she"),
          ("Uncle Bob", "he"))
ANIMAL_ADULTS = (("Mama *", "she"), ("Mama *", "she"), ("Papa *", "he"),
                 ("Papa *", "he"), ("Grandma *", "she"), ("Grandpa *", "he"))
NEIGHBOURS = (("Mrs. Reed", "she"), ("Mr. Hill", "he"), ("Mrs. Bell", "she"),
              ("Mr. Wood", "he"), ("the baker", "he"), ("the farmer", "he"),
              ("the old gardener", "she"), ("the kind teacher", "she"))
ANIMAL_NEIGHBOURS = (("Old Owl", "he"), ("Mrs. Goose", "she"),
                     ("Mr. Badger", "he"), ("the wise raven", "she"),
                     ("Grandfather Toad", "he"), ("Mrs. Mouse", "she"))

HOMES = ("in a small house by the sea", "in a little town near the hills",
         "in a yellow house with a red door", "on a farm with many animals",
         "in a tall house in the city", "in a village by the river",
         "near the edge of a forest", "in a white house on a hill")
ANIMAL_HOMES = ("under an old oak tree", "in a warm nest of leaves and moss",
                "at the edge of the green forest", "near a clear blue pond",
                "in a cozy den under a hill", "in a hollow log by the stream",
                "in the tall grass of the meadow", "behind the big red barn")

TRAITS = ("kind cheerful curious brave shy clever gentle quiet playful "
          "careful friendly busy").split()
COLORS = "red blue green yellow purple orange pink white golden silver".split()

TOYS = ("ball", "kite", "drum", "boat", "doll", "train", "puppet", "robot",
        "teddy bear", "spinning top", "whistle", "scarf", "hat", "bell")
FOODS = ("apple", "cookie", "pear", "muffin", "pancake", "sandwich", "peach",
         "carrot", "bun", "plum", "piece of cheese", "slice of cake")
CAKES = ("an apple pie", "a carrot cake", "a berry tart", "a honey cake",
         "a plum pie", "a loaf of sweet bread", "a nut cake")
FLOWERS = ("daisies roses tulips violets sunflowers poppies bluebells").split()
CROPS = (("sunflower", "a tall stem with a golden face"),
         ("pumpkin", "a round orange pumpkin as big as a chair"),
         ("bean", "a green vine that climbed up to the roof"),
         ("strawberry", "a row of sweet red strawberries"),
         ("apple", "a thin little tree with three shiny leaves"),
         ("carrot", "a fat orange carrot with a curly top"),
         ("tomato", "a bush full of round red tomatoes"),
         ("rose", "a rose that was as pink as the morning sky"))

# (where, the same with its preposition, something that one does there)
PLACES = (("the park", "in the park", "ran on the grass"),
          ("the garden", "in the garden", "watched the bees"),
          ("the beach", "at the beach", "dug in the sand"),
          ("the meadow", "in the meadow", "picked flowers"),
          ("the lake", "by the lake", "threw stones in the water"),
          ("the forest", "in the forest", "climbed over fallen trees"),
          ("the hill", "on the hill", "rolled down the soft slope"),
          ("the river", "by the river", "jumped from stone to stone"),
          ("the field", "in the field", "made a path through the tall grass"),
          ("the old bridge", "at the old bridge", "dropped sticks in the water"))

# What someone likes, has, or does.
LIKES = ("apples", "warm milk", "the smell of rain", "songs", "riddles",
         "the color blue", "long walks", "honey", "old stories", "puddles",
         "jokes", "the first light of the day", "soft blankets", "berries",
         "clouds that looked like animals", "the sound of bells")
HABITS = ("sang when {he} was happy", "asked a lot of questions",
          "always woke up before the sun", "had a pocket full of small stones",
          "knew the names of all the flowers", "laughed more than anyone else",
          "had a very old blanket with stars on it", "could sit still for hours",
          "wore a {color} {wear} every day", "never forgot to say thank you",
          "talked to the birds", "liked to draw in the dirt with a stick")
WEAR = ("hat", "scarf", "ribbon", "coat", "belt")

# What is found, where it is hidden.
HIDDEN = (("under the bed", "dusty"), ("behind the old chest", "dusty"),
          ("under a pile of leaves", "full of leaves"),
          ("in the tall grass", "wet with dew"),
          ("behind the big rock", "covered in sand"),
          ("under the rose bush", "covered in petals"),
          ("in the hollow tree", "full of bits of wood"),
          ("next to the well", "a little wet"),
          ("on top of the wood pile", "warm from the sun"),
          ("in the empty basket", "as clean as ever"))

LESSONS = {
    "share": ("sharing makes everything better",
              "good things are even better when you share them",
              "a gift grows when it is given away"),
    "truth": ("telling the truth is brave", "the truth is always best",
              "a true word makes the heart light"),
    "practice": ("good things take time", "you must try and try again",
                 "every day of practice helps"),
    "brave": ("being brave means doing it even when you are scared",
              "even small ones can be brave", "fear gets small when you "
              "hold a hand"),
    "kind": ("it is good to be kind", "a kind word can change a day",
             "kindness always comes back"),
    "listen": ("it is wise to listen", "good advice is worth a lot",
               "those who love us often know best"),
    "friends": ("a friend is the best treasure of all",
                "friends can fix almost anything",
                "together everything is easier"),
    "greedy": ("too much of a good thing is not good",
               "it is better to stop in time",
               "enough is as good as a feast"),
    "patient": ("waiting can be worth it", "patience brings sweet fruit",
                "some things cannot be rushed"),
}
