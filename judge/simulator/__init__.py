"""A simulated judge: a local OpenAI-compatible server whose verdicts obey settings, not a model.

It drives the demo, the tests and the benchmarks, and is a free rehearsal of a real run. It always
says what it is: the model is named `simulated-judge` and every response carries `x-simulated`.
Models set as `generators` answer prompts, so that a run from prompts can be rehearsed too.
"""
