BEGIN TRANSACTION;
CREATE TABLE batches (
	name VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	rule VARCHAR NOT NULL, 
	settings TEXT NOT NULL, 
	frame_size INTEGER NOT NULL, 
	excluded TEXT NOT NULL, 
	audit_probability FLOAT NOT NULL, 
	guidelines_digest VARCHAR NOT NULL, 
	created_at VARCHAR NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE contents (
	content_id VARCHAR NOT NULL, 
	prompt TEXT NOT NULL, 
	reference TEXT, 
	first TEXT NOT NULL, 
	second TEXT NOT NULL, 
	first_chars INTEGER NOT NULL, 
	second_chars INTEGER NOT NULL, 
	PRIMARY KEY (content_id)
);
INSERT INTO "contents" VALUES('68d73eb8774ec74be991393523a36878','[{"role":"user","content":"Question 0?"}]',NULL,'[{"role":"assistant","content":"another"}]','[{"role":"assistant","content":"one"}]',7,3);
INSERT INTO "contents" VALUES('4019d4107ece00f47cdcb8a9b357bb14','[{"role":"user","content":"Question 1?"}]',NULL,'[{"role":"assistant","content":"another"}]','[{"role":"assistant","content":"one"}]',7,3);
INSERT INTO "contents" VALUES('d2712cf1250661158af2636af3c2230a','[{"role":"user","content":"Question 2?"}]',NULL,'[{"role":"assistant","content":"another"}]','[{"role":"assistant","content":"one"}]',7,3);
INSERT INTO "contents" VALUES('b62e30f2e8f6d32b1ed53698248677e3','[{"role":"user","content":"Question 3?"}]',NULL,'[{"role":"assistant","content":"another"}]','[{"role":"assistant","content":"one"}]',7,3);
CREATE TABLE deferrals (
	content_id VARCHAR NOT NULL, 
	judge_key VARCHAR NOT NULL, 
	"order" VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	reason TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	created_at VARCHAR NOT NULL, 
	PRIMARY KEY (run_id, content_id, judge_key, "order")
);
CREATE TABLE generations (
	generation_id VARCHAR NOT NULL, 
	prompt_key VARCHAR NOT NULL, 
	generator_key VARCHAR NOT NULL, 
	sample INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	sampling TEXT NOT NULL, 
	text TEXT NOT NULL, 
	status VARCHAR, 
	reason TEXT, 
	finish_reason VARCHAR, 
	input_tokens INTEGER, 
	output_tokens INTEGER, 
	cost_usd FLOAT, 
	latency_s FLOAT, 
	attempts INTEGER NOT NULL, 
	run_id VARCHAR, 
	created_at VARCHAR NOT NULL, 
	UNIQUE (prompt_key, generator_key, sample)
);
CREATE TABLE judgments (
	judgment_id VARCHAR NOT NULL, 
	content_id VARCHAR NOT NULL, 
	judge_key VARCHAR NOT NULL, 
	"order" VARCHAR NOT NULL, 
	sample INTEGER NOT NULL, 
	reply TEXT NOT NULL, 
	finish_reason VARCHAR, 
	verdict VARCHAR, 
	status VARCHAR, 
	reason TEXT, 
	input_tokens INTEGER, 
	output_tokens INTEGER, 
	cost_usd FLOAT, 
	latency_s FLOAT, 
	attempts INTEGER NOT NULL, 
	rewrites INTEGER NOT NULL, 
	parser VARCHAR NOT NULL, 
	run_id VARCHAR, 
	created_at VARCHAR NOT NULL, 
	UNIQUE (content_id, judge_key, "order", sample)
);
INSERT INTO "judgments" VALUES('8bd21e6abd53b6ffa02c38d7141ab231','68d73eb8774ec74be991393523a36878','8f0de4301678bfc6e75dc375ec6eab35','reversed',0,'[[A]]',NULL,'A',NULL,NULL,NULL,NULL,NULL,NULL,1,0,'mtbench/1',NULL,'2026-11-21T11:12:57.124885+00:00');
INSERT INTO "judgments" VALUES('6e2787c1bc0cfcd895f69e6e483d4ca7','68d73eb8774ec74be991393523a36878','8f0de4301678bfc6e75dc375ec6eab35','forward',0,'[[B]]',NULL,'B',NULL,NULL,NULL,NULL,NULL,NULL,1,0,'mtbench/1',NULL,'2026-11-21T11:12:57.124885+00:00');
INSERT INTO "judgments" VALUES('334e067daa11ef6999858f4675802516','4019d4107ece00f47cdcb8a9b357bb14','8f0de4301678bfc6e75dc375ec6eab35','reversed',0,'[[A]]',NULL,'A',NULL,NULL,NULL,NULL,NULL,NULL,1,0,'mtbench/1',NULL,'2026-11-21T11:12:57.124885+00:00');
INSERT INTO "judgments" VALUES('37651df2a816f92f14d67adab547b6ac','4019d4107ece00f47cdcb8a9b357bb14','8f0de4301678bfc6e75dc375ec6eab35','forward',0,'[[B]]',NULL,'B',NULL,NULL,NULL,NULL,NULL,NULL,1,0,'mtbench/1',NULL,'2026-11-21T11:12:57.124885+00:00');
INSERT INTO "judgments" VALUES('f4b40d9ef4412c137c647958ea8ab6fd','d2712cf1250661158af2636af3c2230a','8f0de4301678bfc6e75dc375ec6eab35','reversed',0,'[[A]]',NULL,'A',NULL,NULL,NULL,NULL,NULL,NULL,1,0,'mtbench/1',NULL,'2026-11-21T11:12:57.124885+00:00');
INSERT INTO "judgments" VALUES('6bbb81bd286e85e5fd2379f43b5db706','d2712cf1250661158af2636af3c2230a','8f0de4301678bfc6e75dc375ec6eab35','forward',0,'[[B]]',NULL,'B',NULL,NULL,NULL,NULL,NULL,NULL,1,0,'mtbench/1',NULL,'2026-11-21T11:12:57.124885+00:00');
INSERT INTO "judgments" VALUES('a55ad7a2ffcebcc9b7dc7dbba897749f','b62e30f2e8f6d32b1ed53698248677e3','8f0de4301678bfc6e75dc375ec6eab35','reversed',0,'[[A]]',NULL,'A',NULL,NULL,NULL,NULL,NULL,NULL,1,0,'mtbench/1',NULL,'2026-11-21T11:12:57.124885+00:00');
INSERT INTO "judgments" VALUES('5a7d9f6358db109acb100acae7f86268','b62e30f2e8f6d32b1ed53698248677e3','8f0de4301678bfc6e75dc375ec6eab35','forward',0,'[[B]]',NULL,'B',NULL,NULL,NULL,NULL,NULL,NULL,1,0,'mtbench/1',NULL,'2026-11-21T11:12:57.124885+00:00');
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('schema','1');
CREATE TABLE pairs (
	pair_id VARCHAR NOT NULL, 
	content_id VARCHAR NOT NULL, 
	is_exchanged BOOLEAN NOT NULL, 
	prompt_id VARCHAR NOT NULL, 
	first_model VARCHAR, 
	second_model VARCHAR, 
	tags TEXT NOT NULL, 
	PRIMARY KEY (pair_id)
);
INSERT INTO "pairs" VALUES('p0','68d73eb8774ec74be991393523a36878',1,'q0',NULL,NULL,'{}');
INSERT INTO "pairs" VALUES('p1','4019d4107ece00f47cdcb8a9b357bb14',1,'q1',NULL,NULL,'{}');
INSERT INTO "pairs" VALUES('p2','d2712cf1250661158af2636af3c2230a',1,'q2',NULL,NULL,'{}');
INSERT INTO "pairs" VALUES('p3','b62e30f2e8f6d32b1ed53698248677e3',1,'q3',NULL,NULL,'{}');
CREATE TABLE prompts (
	prompt_key VARCHAR NOT NULL, 
	messages TEXT NOT NULL, 
	PRIMARY KEY (prompt_key)
);
CREATE TABLE run_judges (
	run_id VARCHAR NOT NULL, 
	judge_key VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	prompt VARCHAR NOT NULL, 
	prompt_digest VARCHAR NOT NULL, 
	sampling TEXT NOT NULL, 
	PRIMARY KEY (run_id, judge_key)
);
INSERT INTO "run_judges" VALUES('import','8f0de4301678bfc6e75dc375ec6eab35','gpt','gpt','imported','imported','{}');
CREATE TABLE run_pairs (
	run_id VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	pair_id VARCHAR NOT NULL, 
	content_id VARCHAR NOT NULL, 
	PRIMARY KEY (run_id, position)
)
 WITHOUT ROWID

;
INSERT INTO "run_pairs" VALUES('import',0,'p0','68d73eb8774ec74be991393523a36878');
INSERT INTO "run_pairs" VALUES('import',1,'p1','4019d4107ece00f47cdcb8a9b357bb14');
INSERT INTO "run_pairs" VALUES('import',2,'p2','d2712cf1250661158af2636af3c2230a');
INSERT INTO "run_pairs" VALUES('import',3,'p3','b62e30f2e8f6d32b1ed53698248677e3');
CREATE TABLE run_prompts (
	run_id VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	prompt_key VARCHAR NOT NULL, 
	prompt_id VARCHAR NOT NULL, 
	reference TEXT, 
	tags TEXT NOT NULL, 
	PRIMARY KEY (run_id, position)
);
CREATE TABLE runs (
	run_id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	settings TEXT NOT NULL, 
	is_complete BOOLEAN NOT NULL, 
	created_at VARCHAR NOT NULL, 
	used_at VARCHAR NOT NULL, 
	PRIMARY KEY (run_id)
);
INSERT INTO "runs" VALUES('import','import','judge import','{"rule": "conservative"}',1,'2026-11-21T11:12:57.101972+00:00','2026-11-21T11:12:57.127811+00:00');
CREATE TABLE tasks (
	task_id VARCHAR NOT NULL, 
	batch VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	pair_id VARCHAR NOT NULL, 
	shown_order VARCHAR NOT NULL, 
	is_audit BOOLEAN NOT NULL, 
	included_as VARCHAR, 
	inclusion_probability FLOAT NOT NULL, 
	PRIMARY KEY (task_id), 
	UNIQUE (batch, position)
);
CREATE TABLE votes (
	vote_id VARCHAR NOT NULL, 
	pair_id VARCHAR NOT NULL, 
	annotator VARCHAR NOT NULL, 
	preference VARCHAR NOT NULL, 
	record TEXT NOT NULL, 
	PRIMARY KEY (vote_id)
);
INSERT INTO "votes" VALUES('2bd53e3565f1eda56829d2af9da44713','p0','x','second','{"pair_id":"p0","annotator":"x","preference":"second"}');
INSERT INTO "votes" VALUES('7f26423b2819579d875dc696d809c688','p1','x','first','{"pair_id":"p1","annotator":"x","preference":"first"}');
INSERT INTO "votes" VALUES('ecdcebce4f211b1a1ae1ce8f881d6084','p2','x','first','{"pair_id":"p2","annotator":"x","preference":"first"}');
INSERT INTO "votes" VALUES('8c3fbcd2b64db885551c911fbd6ab7b2','p3','x','first','{"pair_id":"p3","annotator":"x","preference":"first"}');
CREATE INDEX run_pairs_content ON run_pairs (run_id, content_id, position);
CREATE INDEX judgments_run ON judgments (run_id);
CREATE INDEX votes_pair ON votes (pair_id);
CREATE INDEX run_prompts_key ON run_prompts (run_id, prompt_key, position);
CREATE INDEX generations_run ON generations (run_id);
CREATE INDEX tasks_pair ON tasks (pair_id);
COMMIT;
