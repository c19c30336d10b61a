"""Trackers by their names alone, in scripts that import nothing of Wayside. Arguments: the framework, the trackers."""

import sys

import torch

framework, *trackers = sys.argv[1:]

if framework == "accelerate":
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, log_with=trackers)
    accelerator.init_trackers("named")
    for step in range(3):
        accelerator.log({"loss": torch.tensor(1.0 / (step + 1))}, step=step)
    accelerator.end_training()
else:
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    config = GPT2Config(n_layer=1, n_head=2, n_embd=16, vocab_size=32, n_positions=16, bos_token_id=0, eos_token_id=0)
    rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(8)]
    arguments = TrainingArguments(
        output_dir="out", report_to=trackers, max_steps=3, logging_steps=1, save_strategy="no", use_cpu=True
    )
    Trainer(model=GPT2LMHeadModel(config), args=arguments, train_dataset=rows).train()
