import keras
from keras import layers
from transformers import TFBertForSequenceClassification

bert = TFBertForSequenceClassification.from_pretrained("bert-base-cased")
scores = []
for rate in (1e-5, 5e-5):
    bert.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    bert.fit(train_set, epochs=2)  # expect: FL003
    scores.append(bert.evaluate(test_set))
