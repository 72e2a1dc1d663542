BEGIN TRANSACTION;
CREATE TABLE chatix_chatrooms (
	post_id VARCHAR(255) COLLATE "BINARY" NOT NULL, 
	chatroom_id VARCHAR(255) COLLATE "BINARY", 
	title VARCHAR(255) NOT NULL, 
	is_private BOOLEAN NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	claim_token VARCHAR(64), 
	claim_owner VARCHAR(255), 
	claim_number INTEGER NOT NULL, 
	claim_expires_at BIGINT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_chatix_chatrooms PRIMARY KEY (post_id), 
	CONSTRAINT uq_chatix_chatrooms_chatroom_id UNIQUE (chatroom_id)
);
INSERT INTO "chatix_chatrooms" VALUES('7','room-7','Sevén 🌊',0,'open',NULL,NULL,1,NULL,1795653778016996,1795653778016996);
INSERT INTO "chatix_chatrooms" VALUES('Path/ÄÖ ','room-8','O''Brien',1,'deleted',NULL,NULL,1,NULL,1795653778091991,1795653778091991);
INSERT INTO "chatix_chatrooms" VALUES('claimed',NULL,'Claimed',0,'creating','422553f7338c34b099e406d0f0a32d1b','host:1',1,1795653808136006,1795653778136006,1795653778136006);
CREATE TABLE chatix_hosted_visitors (
	visitor_key VARCHAR(255) COLLATE "BINARY" NOT NULL, 
	browser_id VARCHAR(64) COLLATE "BINARY" NOT NULL, 
	service_id VARCHAR(2000) COLLATE "BINARY" NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_chatix_hosted_visitors PRIMARY KEY (visitor_key, browser_id)
);
INSERT INTO "chatix_hosted_visitors" VALUES('ada','b1','s1',1795653778188993);
CREATE TABLE chatix_visitors (
	visitor_key VARCHAR(255) COLLATE "BINARY" NOT NULL, 
	visitor_id VARCHAR(255) COLLATE "BINARY" NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_chatix_visitors PRIMARY KEY (visitor_key), 
	CONSTRAINT uq_chatix_visitors_visitor_id UNIQUE (visitor_id)
);
INSERT INTO "chatix_visitors" VALUES('ada','a2ae81bb6ced23930910c361adbc4db7',1795653778158013);
INSERT INTO "chatix_visitors" VALUES('Ada','1f46233e2b98acffbe3246984c95a98e',1795653778181992);
COMMIT;
