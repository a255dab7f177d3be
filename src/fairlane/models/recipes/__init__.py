"""A model → the recipe that it is made from, and a model from a recipe.

A model is made again in three ways:

- in this process, with changes (`rebuild`): functions and classes stay themselves;
- in another process, perhaps on another backend (`portable`): the recipe is pickled;
- from a store, which may come from anywhere (`description`): the recipe is JSON, and no code in it runs.

The first two share the recipe of one object (`objects`), and how a compiled model's arguments are read
(`compiled`). The third uses Keras's own serialised form, which stores of earlier versions have too.
"""
