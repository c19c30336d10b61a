"""Keras on torch: two epochs, every second batch told, too."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from wayside.integrations.keras import WaysideCallback

model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.1), loss="mse")
inputs, outputs = np.ones((8, 4), "float32"), np.zeros((8, 1), "float32")
callback = WaysideCallback(batches=2, project="keras-tiny")
model.fit(inputs, outputs, validation_data=(inputs, outputs), epochs=2, batch_size=2, verbose=0, callbacks=[callback])
