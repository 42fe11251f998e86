/* The conversation of tests/src/conversation.rs in C, with hiredis. */

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
    ((condition) ? (void)0 : (fprintf(stderr, "line %d: not %s\n", __LINE__, #condition), exit(1)))

static redisContext *context;

static void ok(const char *step) { printf("ok %s\n", step); }
static void ask(const char *what) { printf("please %s\n", what); }

/* A reply, which is never NULL: the connection that failed would be one. */
static redisReply *checked(redisReply *reply) {
    if (reply == NULL) {
        fprintf(stderr, "the connection failed: %s\n", context->errstr);
        exit(1);
    }
    return reply;
}

static redisReply *call(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    return checked(reply);
}

static redisReply *next_reply(void) {
    void *reply = NULL;
    CHECK(redisGetReply(context, &reply) == REDIS_OK);
    return reply;
}

static int is_text(const redisReply *reply, const char *text) {
    return (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS)
        && reply->len == strlen(text) && memcmp(reply->str, text, reply->len) == 0;
}

static int is_id(const redisReply *reply) { return reply->type == REDIS_REPLY_STRING && reply->len == 16; }

static int is_integer(const redisReply *reply, long long number) {
    return reply->type == REDIS_REPLY_INTEGER && reply->integer == number;
}

static int is_error(const redisReply *reply, const char *text) {
    return reply->type == REDIS_REPLY_ERROR && strstr(reply->str, text) != NULL;
}

/* [queue, receipt, payload, attempt] */
static int is_job(const redisReply *job, const char *queue, const char *payload, long long attempt) {
    return job->type == REDIS_REPLY_ARRAY && job->elements >= 4 && is_text(job->element[0], queue)
        && is_text(job->element[2], payload) && is_integer(job->element[3], attempt);
}

/* hiredis of this version speaks RESP2, where a map is a flat array. */
static const redisReply *field(const redisReply *map, const char *name) {
    for (size_t i = 0; i + 1 < map->elements; i += 2) {
        if (is_text(map->element[i], name)) return map->element[i + 1];
    }
    fprintf(stderr, "there is no field %s\n", name);
    exit(1);
}

static void set_name(void) {
    redisReply *reply = call("CLIENT SETNAME conversation");
    CHECK(is_text(reply, "OK"));
    freeReplyObject(reply);
}

static void connect_and_shake_hands(const char *host, int port) {
    context = redisConnect(host, port);
    CHECK(context != NULL && context->err == 0);
    redisReply *reply = call("PING");
    CHECK(is_text(reply, "PONG"));
    freeReplyObject(reply);
    reply = call("INFO");
    CHECK(strstr(reply->str, "\r\nredis_version:7.2.") != NULL);
    freeReplyObject(reply);
    ok("connect");

    set_name();
    reply = call("CLIENT GETNAME");
    CHECK(is_text(reply, "conversation"));
    freeReplyObject(reply);
    ok("handshake");
}

static void push(void) {
    const char *once = "QPUSH jobs %s GROUP wiki PRIORITY %d DEDUPE once STATUS";
    redisReply *first = call(once, "hello", 5);
    CHECK(first->elements == 2 && is_text(first->element[0], "ready") && is_id(first->element[1]));
    redisReply *second = call(once, "hello", 5);
    CHECK(is_text(second->element[0], "duplicate") && is_text(second->element[1], first->element[1]->str));
    freeReplyObject(first);
    freeReplyObject(second);

    redisReply *reply = call("QPUSH binary %b", "\x00\r\n\xff", (size_t)4);
    CHECK(is_id(reply));
    freeReplyObject(reply);
    reply = call("TYPE jobs");
    CHECK(is_text(reply, "queue"));
    freeReplyObject(reply);
    reply = call("EXISTS jobs none");
    CHECK(is_integer(reply, 1));
    freeReplyObject(reply);
    ok("push");
}

static void pipeline(void) {
    for (int n = 0; n < 100; n++) {
        char payload[16];
        snprintf(payload, sizeof payload, "job %d", n);
        redisAppendCommand(context, "QPUSH jobs %s", payload);
    }
    redisAppendCommand(context, "QLEN jobs");
    char last[17] = "";
    for (int n = 0; n < 100; n++) {
        redisReply *reply = next_reply();
        /* Ids rise, so that each is another one. */
        CHECK(is_id(reply) && strcmp(reply->str, last) > 0);
        strcpy(last, reply->str);
        freeReplyObject(reply);
    }
    redisReply *ready = next_reply();
    CHECK(is_integer(ready, 101));
    freeReplyObject(ready);
    ok("pipeline");
}

static void transaction(void) {
    const char *commands[] = {"MULTI", "QPUSH jobs one", "QPUSH other two", "QLEN other"};
    for (int i = 0; i < 4; i++) {
        redisReply *reply = call(commands[i]);
        CHECK(is_text(reply, i == 0 ? "OK" : "QUEUED"));
        freeReplyObject(reply);
    }
    redisReply *reply = call("EXEC");
    CHECK(reply->elements == 3 && is_id(reply->element[0]) && is_id(reply->element[1]));
    CHECK(is_integer(reply->element[2], 1));
    freeReplyObject(reply);
    ok("transaction");
}

/* Acks all of these jobs with one command and says how many were acked. */
static long long ack(const redisReply *jobs, const redisReply *more) {
    size_t count = jobs->elements + more->elements;
    const char **words = calloc(count + 2, sizeof *words);
    CHECK(words != NULL);
    words[0] = "QACK";
    words[1] = "jobs";
    for (size_t i = 0; i < count; i++) {
        const redisReply *job =
            i < jobs->elements ? jobs->element[i] : more->element[i - jobs->elements];
        words[i + 2] = job->element[1]->str;
    }
    redisReply *reply = checked(redisCommandArgv(context, (int)count + 2, words, NULL));
    CHECK(reply->type == REDIS_REPLY_INTEGER);
    long long acked = reply->integer;
    freeReplyObject(reply);
    free(words);
    return acked;
}

static void claim_and_ack(void) {
    redisReply *jobs = call("QCLAIM jobs COUNT %d LEASE %d", 200, 60000);
    CHECK(jobs->elements == 102 && is_job(jobs->element[0], "jobs", "hello", 1));
    for (int n = 0; n < 100; n++) {
        char payload[16];
        snprintf(payload, sizeof payload, "job %d", n);
        CHECK(is_job(jobs->element[n + 1], "jobs", payload, 1));
    }
    CHECK(is_job(jobs->element[101], "jobs", "one", 1));
    ask("push jobs");
    redisReply *woken = call("QCLAIM jobs BLOCK 0");
    CHECK(woken->elements == 1 && is_job(woken->element[0], "jobs", "woken", 1));
    redisReply *none = call("QCLAIM none");
    CHECK(none->type == REDIS_REPLY_ARRAY && none->elements == 0);
    freeReplyObject(none);
    ok("claim");

    CHECK(ack(jobs, woken) == 103);
    CHECK(ack(jobs, woken) == 0);
    freeReplyObject(jobs);
    freeReplyObject(woken);

    redisReply *other = call("QCLAIM other");
    redisReply *nack = call("QNACK other %s DELAY 0 ERROR %s", other->element[0]->element[1]->str, "not yet");
    CHECK(is_text(nack, "retry"));
    freeReplyObject(nack);
    freeReplyObject(other);
    other = call("QCLAIM other META");
    CHECK(is_job(other->element[0], "other", "two", 2));
    CHECK(is_text(field(other->element[0]->element[4], "last-error"), "not yet"));
    redisReply *acked = call("QACK other %s", other->element[0]->element[1]->str);
    CHECK(is_integer(acked, 1));
    freeReplyObject(acked);
    freeReplyObject(other);

    redisReply *stats = call("QSTATS none");
    CHECK(stats->type == REDIS_REPLY_NIL);
    freeReplyObject(stats);
    stats = call("QSTATS jobs");
    CHECK(is_integer(field(stats, "acked"), 103));
    freeReplyObject(stats);
    ok("ack");
}

static void expect_error(const char *command, const char *text) {
    redisReply *reply = call(command);
    CHECK(is_error(reply, text));
    freeReplyObject(reply);
}

static void errors(void) {
    freeReplyObject(call("QPAUSE jobs PUSH"));
    expect_error("QPUSH jobs x", "PAUSED ");
    freeReplyObject(call("QRESUME jobs"));
    expect_error("QPUSH jobs", "wrong number of arguments for 'qpush' command");
    expect_error("QPUSH jobs x BOGUS", "BOGUS");
    expect_error("EVAL return 0", "QPUSH");
    redisReply *pong = call("PING");
    CHECK(is_text(pong, "PONG"));
    freeReplyObject(pong);
    ok("errors");
}

static void watch(redisContext *other) {
    for (int changed = 1; changed >= 0; changed--) {
        freeReplyObject(call("WATCH watched"));
        if (changed) freeReplyObject(redisCommand(other, "QPUSH watched meanwhile"));
        freeReplyObject(call("MULTI"));
        freeReplyObject(call("QPUSH watched %s", changed ? "never" : "now"));
        redisReply *reply = call("EXEC");
        CHECK(changed ? reply->type == REDIS_REPLY_NIL : reply->elements == 1 && is_id(reply->element[0]));
        freeReplyObject(reply);
    }
    redisReply *length = call("QLEN watched");
    CHECK(is_integer(length, 2));
    freeReplyObject(length);
    ok("watch");
}

static void subscribe(redisContext *other) {
    redisReply *nobody = call("PUBLISH nowhere hello");
    CHECK(is_integer(nobody, 0));
    freeReplyObject(nobody);

    const char *expected[][3] = {
        {"subscribe", "news", NULL},
        {"subscribe", "__job__:events", NULL},
        {"message", "news", "hello"},
        {"message", "__job__:events", "pushed "},
        {"message", "__job__:events", "claimed "},
        {"message", "__job__:events", "acked "},
    };
    CHECK(redisAppendCommand(other, "SUBSCRIBE news __job__:events") == REDIS_OK);
    ask("publish");
    for (int i = 0; i < 6; i++) {
        void *reply = NULL;
        CHECK(redisGetReply(other, &reply) == REDIS_OK);
        const redisReply *message = reply;
        CHECK(message->elements == 3);
        CHECK(is_text(message->element[0], expected[i][0]) && is_text(message->element[1], expected[i][1]));
        if (expected[i][2] != NULL) {
            CHECK(strncmp(message->element[2]->str, expected[i][2], strlen(expected[i][2])) == 0);
        }
        freeReplyObject(reply);
    }
    ok("subscribe");
}

static void reconnect(void) {
    freeReplyObject(call("QPUSH jobs kept"));
    ask("restart");
    getchar();
    /* The context that has failed keeps its address: redisReconnect tries that again. */
    CHECK(redisCommand(context, "PING") == NULL && context->err != 0);
    CHECK(redisReconnect(context) == REDIS_OK);
    redisReply *jobs = call("QCLAIM jobs");
    CHECK(jobs->elements == 1 && is_job(jobs->element[0], "jobs", "kept", 1));
    redisReply *acked = call("QACK jobs %s", jobs->element[0]->element[1]->str);
    CHECK(is_integer(acked, 1));
    freeReplyObject(acked);
    freeReplyObject(jobs);
    ok("reconnect");
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    setvbuf(stdout, NULL, _IOLBF, 0);
    connect_and_shake_hands(argv[1], atoi(argv[2]));
    push();
    pipeline();
    transaction();
    claim_and_ack();
    errors();
    redisContext *other = redisConnect(argv[1], atoi(argv[2]));
    CHECK(other != NULL && other->err == 0);
    watch(other);
    subscribe(other);
    redisFree(other);
    reconnect();
    redisFree(context);
    return 0;
}
