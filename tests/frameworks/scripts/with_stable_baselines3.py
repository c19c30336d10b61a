"""Stable-Baselines3: an agent that learns twice."""

from stable_baselines3 import A2C
from wayside.integrations.stable_baselines3 import WaysideCallback

model = A2C("MlpPolicy", "CartPole-v1", n_steps=8, device="cpu", seed=0)
model.learn(800, callback=WaysideCallback(project="agents"), log_interval=10)
model.learn(800, callback=WaysideCallback(), log_interval=10, reset_num_timesteps=False)
