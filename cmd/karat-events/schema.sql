-- The warehouse, version 1. docs/warehouse.md explains it, with examples.
--
-- Hashes are in the order in which they are shown, amounts are in grains (10^8 are a coin), and
-- whatever people may write into a chain (scripts, witnesses, messages of miners) is bytea:
-- nothing says that it is text.

-- What the tables are of, and up to where. It changes in the same transaction as they do.
create table position (
    one       boolean primary key default true check (one),
    version   integer not null,     -- of these tables
    network   text not null,        -- its name
    identity  bytea not null,       -- the hash of its parameters
    steps     bigint not null,      -- blocks that came or went in the journal so far
    height    integer,              -- of the last block in the tables; null: there is none
    hash      bytea,                -- its hash
    sequence  bigint not null,      -- of the stream's message that was worked in last
    updated   timestamptz not null  -- when that was
);

-- The blocks of the best chain.
create table blocks (
    height      integer primary key,
    time        timestamptz not null,
    hash        bytea not null,
    parent      bytea not null,
    version     integer not null,
    merkle_root bytea not null,
    bits        bigint not null,     -- compact form of the target
    nonce       bigint not null,
    work        numeric not null,    -- of the chain up to here: hashes that it has taken
    size        integer not null,    -- bytes
    weight      integer not null,
    txs         integer not null,
    fees        bigint not null
);
create index blocks_hash on blocks (hash);
create index blocks_time on blocks (time);

-- Their transactions: position counts those of a block, from 0, the coinbase, on.
create table transactions (
    height      integer not null,
    position    integer not null,
    txid        bytea not null,
    wtxid       bytea not null,
    version     bigint not null,
    locktime    bigint not null,
    size        integer not null,    -- bytes
    weight      integer not null,
    coinbase    boolean not null,
    fee         bigint not null,     -- 0 of a coinbase
    inputs      integer not null,    -- how many
    outputs     integer not null,
    primary key (height, position)
);
create index transactions_txid on transactions (txid);

-- What they spend. A coinbase spends nothing: what begins with spent_ is null, and script_sig
-- has the height and what the miner wrote.
create table inputs (
    height         integer not null,
    position       integer not null,
    vin            integer not null,
    spent_txid     bytea,               -- the transaction whose output it spends
    spent_vout     integer,             -- and which
    spent_value    bigint,
    spent_height   integer,             -- of the block that made it
    spent_coinbase boolean,             -- by its coinbase
    spent_script   bytea,               -- the output script
    spent_address  text,                -- the same as an address; null: it has none
    sequence       bigint not null,
    script_sig     bytea not null,
    witness        bytea[] not null,
    primary key (height, position, vin)
);
create index inputs_spent on inputs (spent_txid, spent_vout) where spent_txid is not null;
create index inputs_address on inputs (spent_address) where spent_address is not null;

-- What they make.
create table outputs (
    height      integer not null,
    position    integer not null,
    vout        integer not null,
    value       bigint not null,
    unspendable boolean not null,       -- it makes no coin: it is data, or of the genesis block
    script      bytea not null,
    address     text,                   -- null: the script has none
    primary key (height, position, vout)
);
create index outputs_address on outputs (address) where address is not null;

-- The coins that are there: outputs which nobody has spent. Those of the genesis block need not
-- mature, and so do not count as a coinbase's.
create view coins as
    select t.txid, o.vout, o.value, o.address, o.script, o.height, t.coinbase and o.height > 0 as coinbase
    from outputs o
    join transactions t using (height, position)
    where not o.unspendable
      and not exists (select from inputs i where i.spent_txid = t.txid and i.spent_vout = o.vout);

-- What an address got (value > 0) and paid (value < 0), and in which transaction.
create view movements as
    select o.address, o.height, b.time, t.txid, o.value
    from outputs o join transactions t using (height, position) join blocks b using (height)
    where o.address is not null
    union all
    select i.spent_address, i.height, b.time, t.txid, -i.spent_value
    from inputs i join transactions t using (height, position) join blocks b using (height)
    where i.spent_address is not null;
