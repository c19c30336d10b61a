"""Hugging Face's own WandbCallback: four steps, evaluated twice; nothing of ours is named but where REPORT_TO does."""

import os

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

torch.manual_seed(0)
config = GPT2Config(n_layer=1, n_head=2, n_embd=16, vocab_size=32, n_positions=16, bos_token_id=0, eos_token_id=0)
tokens = [torch.randint(0, 32, (8,)) for _ in range(16)]
rows = [{"input_ids": row, "labels": row} for row in tokens]
arguments = TrainingArguments(
    output_dir="out",
    run_name="tiny",
    report_to=os.environ.get("REPORT_TO", "wandb").split(","),
    max_steps=4,
    per_device_train_batch_size=2,
    logging_steps=1,
    eval_strategy="steps",
    eval_steps=2,
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
)
Trainer(model=GPT2LMHeadModel(config), args=arguments, train_dataset=rows, eval_dataset=rows[:4]).train()
