"""The tables of the ledger. Facts only: labels are derived from them, never stored.

Judgments belong to a content (a prompt and its unordered answers), never to a run or a given id,
so the same ask is never paid twice. `run_pairs` and `run_judges` say what a run looks at.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 2
OLDER_VERSIONS = frozenset({"1"})
"""Versions that can be brought up to date: see judge.ledger.migration."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

contents = Table(
    "contents",
    metadata,
    Column("content_id", String, primary_key=True),
    Column("prompt", Text, nullable=False, comment="JSON list of messages"),
    Column("reference", Text),
    Column("first", Text, nullable=False, comment="JSON list of messages, canonical side"),
    Column("second", Text, nullable=False, comment="JSON list of messages"),
    # Kept so that telling the longer answer needs no reading of both.
    Column("first_chars", Integer, nullable=False, comment="characters of the whole answer"),
    Column("second_chars", Integer, nullable=False),
)

pairs = Table(
    "pairs",
    metadata,
    Column("pair_id", String, primary_key=True),
    Column("content_id", String, nullable=False),
    Column("is_exchanged", Boolean, nullable=False, comment="given sides against the content's"),
    Column("prompt_id", String, nullable=False),
    Column("first_model", String),
    Column("second_model", String),
    Column("tags", Text, nullable=False, comment="JSON object"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("kind", String, nullable=False, comment="judge or import"),
    Column("source", String, nullable=False, comment="the input file as it was named"),
    Column("settings", Text, nullable=False, comment="JSON object, without keys"),
    Column("is_complete", Boolean, nullable=False, comment="the whole input has been read"),
    Column("created_at", String, nullable=False),
    Column("used_at", String, nullable=False, comment="newest use; `latest` sorts by it"),
)

run_pairs = Table(
    "run_pairs",
    metadata,
    Column("run_id", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("pair_id", String, nullable=False),
    Column("content_id", String, nullable=False),
    PrimaryKeyConstraint("run_id", "position"),
    Index("run_pairs_content", "run_id", "content_id", "position"),
    sqlite_with_rowid=False,
)

run_judges = Table(
    "run_judges",
    metadata,
    Column("run_id", String, nullable=False),
    Column("judge_key", String, nullable=False),
    Column("name", String, nullable=False),
    Column("model", String, nullable=False),
    Column("prompt", String, nullable=False, comment="name of the template"),
    Column("prompt_digest", String, nullable=False),
    Column("sampling", Text, nullable=False, comment="JSON object"),
    PrimaryKeyConstraint("run_id", "judge_key"),
)

judgments = Table(
    "judgments",
    metadata,
    Column("judgment_id", String, nullable=False),
    Column("content_id", String, nullable=False),
    Column("judge_key", String, nullable=False),
    Column("order", String, nullable=False, comment="in the content's orientation"),
    Column("sample", Integer, nullable=False),
    Column("reply", Text, nullable=False),
    Column("finish_reason", String),
    Column("verdict", String),
    Column("status", String),
    Column("reason", Text),
    Column("reasoning", Text),
    Column("p_a", Float),
    Column("p_b", Float),
    Column("p_tie", Float),
    Column("grade", Integer, comment="how much better A is as shown, -2 to 2"),
    Column("ratings", JSON(none_as_null=True), comment="attribute -> ratings of A and B as shown"),
    Column("input_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("output_tokens", Integer),
    Column("cost_usd", Float),
    Column("latency_s", Float),
    Column("attempts", Integer, nullable=False),
    Column("rewrites", Integer, nullable=False),
    Column("parser", String, nullable=False),
    Column("run_id", String, comment="the run that paid for it; none for an imported one"),
    Column("created_at", String, nullable=False),
    # The id is a digest of exactly these columns; one index serves both uniqueness and look-up.
    UniqueConstraint("content_id", "judge_key", "order", "sample"),
    Index("judgments_run", "run_id"),
)

votes = Table(
    "votes",
    metadata,
    Column("vote_id", String, primary_key=True, comment="digest of the vote, so imports repeat"),
    Column("pair_id", String, nullable=False),
    Column("annotator", String, nullable=False),
    Column("preference", String, nullable=False),
    Column("record", Text, nullable=False, comment="JSON of the whole vote"),
    Index("votes_pair", "pair_id"),
)

deferrals = Table(
    "deferrals",
    metadata,
    Column("content_id", String, nullable=False),
    Column("judge_key", String, nullable=False),
    Column("order", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("reason", Text, nullable=False, comment="the last transport failure of a pending ask"),
    Column("attempts", Integer, nullable=False, comment="requests that got no reply"),
    Column("created_at", String, nullable=False),
    PrimaryKeyConstraint("run_id", "content_id", "judge_key", "order"),
)

losses = Table(
    "losses",
    metadata,
    Column("run_id", String, primary_key=True),
    # Such as for time-outs: a reply may have been written, and be on the bill.
    Column("requests", Integer, nullable=False, comment="beyond those of stored facts"),
    Column("tokens", Integer, nullable=False),
    Column("usd", Float, nullable=False),
)

prompts = Table(
    "prompts",
    metadata,
    Column("prompt_key", String, primary_key=True, comment="digest of the messages"),
    Column("messages", Text, nullable=False, comment="JSON list of messages"),
)

run_prompts = Table(
    "run_prompts",
    metadata,
    Column("run_id", String, nullable=False),
    Column("position", Integer, nullable=False, comment="from 0, without gaps"),
    Column("prompt_key", String, nullable=False),
    Column("prompt_id", String, nullable=False),
    # Here and not with the messages: a generator never sees it.
    Column("reference", Text),
    Column("tags", Text, nullable=False, comment="JSON object"),
    PrimaryKeyConstraint("run_id", "position"),
    Index("run_prompts_key", "run_id", "prompt_key", "position"),
)

generations = Table(
    "generations",
    metadata,
    Column("generation_id", String, nullable=False),
    Column("prompt_key", String, nullable=False),
    Column("generator_key", String, nullable=False),
    Column("sample", Integer, nullable=False),
    Column("model", String, nullable=False),
    Column("sampling", Text, nullable=False, comment="JSON object"),
    Column("text", Text, nullable=False),
    Column("status", String, comment="why it is no candidate; null where it is one"),
    Column("reason", Text),
    Column("finish_reason", String),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("cost_usd", Float),
    Column("latency_s", Float),
    Column("attempts", Integer, nullable=False),
    Column("run_id", String, comment="the run that paid for it"),
    Column("created_at", String, nullable=False),
    # As for judgments: the id is a digest of exactly these columns.
    UniqueConstraint("prompt_key", "generator_key", "sample"),
    Index("generations_run", "run_id"),
)

batches = Table(
    "batches",
    metadata,
    Column("name", String, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("rule", String, nullable=False, comment="how two orders collapsed into outcomes"),
    Column("settings", Text, nullable=False, comment="JSON: seed, n, include, is_again"),
    Column("frame_size", Integer, nullable=False, comment="pairs that could be drawn"),
    Column("excluded", Text, nullable=False, comment="JSON: reason -> pairs outside the frame"),
    Column("audit_probability", Float, nullable=False, comment="of each pair of the frame"),
    Column("guidelines_digest", String, nullable=False),
    Column("created_at", String, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", String, primary_key=True),
    Column("batch", String, nullable=False),
    Column("position", Integer, nullable=False, comment="place in the file"),
    Column("pair_id", String, nullable=False),
    Column("shown_order", String, nullable=False, comment="in the pair's orientation"),
    Column("is_audit", Boolean, nullable=False, comment="taken by the uniform draw"),
    Column("included_as", String, comment="its outcome, where that was taken whole"),
    Column("inclusion_probability", Float, nullable=False, comment="by either way"),
    UniqueConstraint("batch", "position"),
    Index("tasks_pair", "pair_id"),
)

looks = Table(
    "looks",
    metadata,
    Column("look_id", String, primary_key=True, comment="digest of the question and its facts"),
    Column("command", String, nullable=False),
    Column("subject", Text, nullable=False, comment="what was compared or certified, in words"),
    Column("split", String, nullable=False),
    Column("share", Float, nullable=False, comment="of the prompts, taken by the test part"),
    Column("prompts", LargeBinary, nullable=False, comment="test prompts seen, 8 bytes each"),
    Column("result", Text, nullable=False, comment="JSON of the figure that was shown"),
    Column("created_at", String, nullable=False),
)

batch_exports = Table(
    "batch_exports",
    metadata,
    Column("export_id", String, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("folder", Text, nullable=False, comment="absolute path of what was written"),
    Column("judges", Text, nullable=False, comment="JSON: judge key -> settings, to read replies"),
    Column("created_at", String, nullable=False),
)

reference_checks = Table(
    "reference_checks",
    metadata,
    Column("content_id", String, primary_key=True),
    Column("checker_key", String, nullable=False, comment="digest of how the model answered"),
    Column("status", String, nullable=False, comment="checked, doubtful or unclear"),
    Column("same", Integer, nullable=False, comment="own answers that agree"),
    Column("different", Integer, nullable=False),
    Column("unsure", Integer, nullable=False),
    Column("created_at", String, nullable=False),
)

batch_asks = Table(
    "batch_asks",
    metadata,
    Column("judgment_id", String, primary_key=True, comment="the custom_id of its line"),
    Column("export_id", String, nullable=False, comment="the newest that holds it"),
    Column("content_id", String, nullable=False),
    Column("judge_key", String, nullable=False),
    Column("order", String, nullable=False, comment="in the content's orientation"),
    Column("sample", Integer, nullable=False),
    Column("rewrites", Integer, nullable=False),
    Index("batch_asks_export", "export_id"),
    sqlite_with_rowid=False,
)
