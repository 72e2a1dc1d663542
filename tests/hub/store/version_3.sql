-- A database of version 3.
BEGIN TRANSACTION;
CREATE TABLE chatrooms (
	number INTEGER NOT NULL,
	id VARCHAR(100) NOT NULL,
	external_id VARCHAR(255),
	title VARCHAR(255) NOT NULL,
	is_private BOOLEAN NOT NULL,
	is_deleted BOOLEAN NOT NULL,
	is_closed BOOLEAN NOT NULL,
	created_ms BIGINT NOT NULL,
	message_count INTEGER NOT NULL,
	last_seq BIGINT NOT NULL,
	last_sub INTEGER NOT NULL,
	last_change BIGINT NOT NULL,
	last_whisper_change BIGINT NOT NULL,
	last_sent_ms BIGINT NOT NULL, deleted_ms BIGINT,
	PRIMARY KEY (number),
	UNIQUE (id),
	UNIQUE (external_id)
);
INSERT INTO "chatrooms" VALUES(1,'room','post-1','A post',0,0,0,1760000000000,1,1,1,1,1,1760000002000,NULL);
INSERT INTO "chatrooms" VALUES(2,'files','post-2','Another post',0,0,0,1700000000000,2,2,0,3,0,1700000002000,NULL);
INSERT INTO "chatrooms" VALUES(3,'gone',NULL,'An old post',0,1,0,1600000000000,0,0,0,0,0,0,NULL);
CREATE TABLE members (
	chatroom_id VARCHAR(100) NOT NULL,
	visitor_id VARCHAR(100) NOT NULL,
	hold VARCHAR(16) NOT NULL,
	is_manager BOOLEAN NOT NULL,
	PRIMARY KEY (chatroom_id, visitor_id),
	FOREIGN KEY(chatroom_id) REFERENCES chatrooms (id)
);
INSERT INTO "members" VALUES('files','ada','lasting',0);
INSERT INTO "members" VALUES('room','g-1','grace',0);
CREATE TABLE messages (
	id VARCHAR(100) NOT NULL,
	chatroom_id VARCHAR(100) NOT NULL,
	seq BIGINT NOT NULL,
	sub INTEGER NOT NULL,
	change BIGINT NOT NULL,
	type SMALLINT NOT NULL,
	content TEXT NOT NULL,
	thumb_100_url TEXT,
	thumb_300_url TEXT,
	original_url TEXT,
	file_url TEXT,
	sender_flag SMALLINT NOT NULL,
	sender_id VARCHAR(100) NOT NULL,
	sender_name VARCHAR(255),
	sent_ms BIGINT NOT NULL,
	edited_ms BIGINT,
	client_key VARCHAR(100),
	is_whisper BOOLEAN NOT NULL,
	is_deleted BOOLEAN NOT NULL, file_name VARCHAR(255), file_bytes BIGINT, width_px INTEGER, height_px INTEGER,
	PRIMARY KEY (id),
	UNIQUE (chatroom_id, seq, sub),
	UNIQUE (chatroom_id, client_key),
	FOREIGN KEY(chatroom_id) REFERENCES chatrooms (id)
);
INSERT INTO "messages" VALUES('m1','room',1,0,1,0,'Hello',NULL,NULL,NULL,NULL,0,'g-1','Robin',1760000001000,NULL,'key',0,0,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES('m2','room',1,1,1,0,'Psst',NULL,NULL,NULL,NULL,1,'marit','Marit Lund',1760000002000,NULL,NULL,1,0,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES('m3','files',1,0,3,0,'Hello, edited',NULL,NULL,NULL,NULL,0,'ada','Ada',1700000001000,1700000003000,'key-1',0,0,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES('m4','files',2,0,2,5,'',NULL,NULL,NULL,'https://elsewhere.example/a.pdf',1,'boss','Boss',1700000002000,NULL,NULL,0,0,NULL,NULL,NULL,NULL);
CREATE TABLE protected_names (
	name_key VARCHAR(255) NOT NULL, 
	visitor_id VARCHAR(100) NOT NULL, 
	PRIMARY KEY (name_key, visitor_id), 
	FOREIGN KEY(visitor_id) REFERENCES visitors (id)
);
INSERT INTO "protected_names" VALUES('maritlund','marit');
INSERT INTO "protected_names" VALUES('marltlund','marit');
INSERT INTO "protected_names" VALUES('rnaritlund','marit');
INSERT INTO "protected_names" VALUES('jonaspetri','jonas');
INSERT INTO "protected_names" VALUES('jonaspetrl','jonas');
INSERT INTO "protected_names" VALUES('ada','ada');
CREATE TABLE schema_info (
	version INTEGER NOT NULL,
	PRIMARY KEY (version)
);
INSERT INTO "schema_info" VALUES(3);
CREATE TABLE uploads (
	id VARCHAR(100) NOT NULL, 
	chatroom_id VARCHAR(100) NOT NULL, 
	visitor_id VARCHAR(100) NOT NULL, 
	message_id VARCHAR(100), 
	state VARCHAR(16) NOT NULL, 
	is_image BOOLEAN NOT NULL, 
	media_type VARCHAR(100) NOT NULL, 
	file_name VARCHAR(255) NOT NULL, 
	file_bytes BIGINT NOT NULL, 
	width_px INTEGER, 
	height_px INTEGER, 
	created_ms BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (message_id)
);
INSERT INTO "uploads" VALUES('upload','room','marit',NULL,'waiting',0,'application/pdf','a.pdf',1000,NULL,NULL,1760000000000);
CREATE TABLE visitors (
	id VARCHAR(100) NOT NULL,
	name VARCHAR(255),
	email VARCHAR(255),
	fields TEXT NOT NULL,
	is_manager BOOLEAN NOT NULL,
	is_persistent BOOLEAN NOT NULL,
	said_ms BIGINT NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "visitors" VALUES('marit','Marit Lund','marit@x.example','{}',1,1,1760000000000);
INSERT INTO "visitors" VALUES('jonas','Jonas Petri',NULL,'{"plan": "free"}',0,1,1760000000000);
INSERT INTO "visitors" VALUES('nameless',NULL,NULL,'{}',0,1,1760000000000);
INSERT INTO "visitors" VALUES('ada','Ada',NULL,'{}',0,1,1700000000000);
INSERT INTO "visitors" VALUES('g-1','Robin',NULL,'{}',0,1,1760000000000);
INSERT INTO "visitors" VALUES('0123456789abcdef0123456789abcdef','Kim',NULL,'{}',0,1,0);
CREATE INDEX ix_chatrooms_title ON chatrooms (title, id);
CREATE INDEX ix_visitors_manager ON visitors (is_manager);
CREATE INDEX ix_messages_sender ON messages (chatroom_id, sender_id);
CREATE UNIQUE INDEX ix_messages_change ON messages (chatroom_id, is_whisper, change);
CREATE INDEX ix_messages_sent ON messages (sent_ms);
CREATE INDEX ix_members_hold ON members (hold);
CREATE INDEX ix_members_visitor ON members (visitor_id);
CREATE INDEX ix_protected_names_visitor ON protected_names (visitor_id);
CREATE INDEX ix_uploads_chatroom ON uploads (chatroom_id);
CREATE INDEX ix_uploads_state ON uploads (state, created_ms);
CREATE INDEX ix_uploads_visitor ON uploads (visitor_id, created_ms);
COMMIT;
