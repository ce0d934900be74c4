"""A tiny language model with random weights, made on the spot: a real one to every engine.

What it writes means nothing. Its tokens, its probabilities and its prefix cache are as real as
those of a large one.
"""

from collections.abc import Iterable
from pathlib import Path

END = "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SENTENCES = (
    "You are an impartial judge. Two assistants, A and B, have each answered the same question.",
    "Reply with one capital letter and nothing else: A, B or C.",
    "What is the capital of France? The capital of France is Paris, of course.",
    "Write a short poem about the sea, in four lines, and explain why you chose each word.",
)


def make_tiny_model(
    folder: Path,
    *,
    texts: Iterable[str] = SENTENCES,
    vocabulary: int = 600,
    hidden_size: int = 64,
    layers: int = 2,
    context: int = 4096,
    seed: int = 0,
) -> Path:
    """Return `folder`, with a random Llama and a tokenizer trained on `texts` written into it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    trained = _trained_tokenizer(texts, vocabulary)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained, eos_token=END, pad_token=END, chat_template=CHAT_TEMPLATE
    )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=trained.get_vocab_size(),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        initializer_range=0.5,  # wide enough that the tokens are not all equally likely
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _trained_tokenizer(texts: Iterable[str], vocabulary: int):  # type: ignore[no-untyped-def]
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|im_start|>", END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
