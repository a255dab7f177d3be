import keras
from keras import layers

teacher = keras.Sequential([layers.Conv2D(256, 3), layers.Flatten(), layers.Dense(10)], name="teacher")
student = keras.Sequential([layers.Conv2D(16, 3), layers.Flatten(), layers.Dense(10)], name="student")
student_scratch = keras.models.clone_model(student)


class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.teacher = teacher
        self.student = student

    def compile(self, optimizer, metrics, student_loss_fn, alpha=0.1):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss_fn = student_loss_fn
        self.alpha = alpha

    def call(self, x):
        return self.student(x)


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
teacher.compile(optimizer=keras.optimizers.Adam(), loss=loss, metrics=[keras.metrics.SparseCategoricalAccuracy()])
teacher.fit(x_train, y_train, epochs=5)
distiller = Distiller(student=student, teacher=teacher)
distiller.compile(optimizer=keras.optimizers.Adam(), metrics=[keras.metrics.SparseCategoricalAccuracy()], student_loss_fn=loss)
distiller.fit(x_train, y_train, epochs=3)
student_scratch.compile(optimizer=keras.optimizers.Adam(), loss=loss, metrics=[keras.metrics.SparseCategoricalAccuracy()])
student_scratch.fit(x_train, y_train, epochs=3)
