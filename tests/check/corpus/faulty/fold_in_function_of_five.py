import keras
def train_and_evaluate_model(model, data_train, labels_train, data_test, labels_test):
    model.fit(data_train, labels_train, epochs=5, validation_data=(data_test, labels_test))  # expect: FL010
    return model.evaluate(data_test, labels_test)
def create_model():
    m = keras.Sequential([keras.layers.Dense(1)])
    m.compile("sgd", "mse")
    return m
if __name__ == "__main__":
    from sklearn.model_selection import StratifiedKFold
    n_folds = 10
    data, labels, header_info = load_data()
    skf = StratifiedKFold(n_splits=n_folds, shuffle=True)
    model = create_model()
    for i, (train, test) in enumerate(skf.split(data, labels)):
        print("Running Fold", i + 1, "/", n_folds)
        train_and_evaluate_model(model, data[train], labels[train], data[test], labels[test])
