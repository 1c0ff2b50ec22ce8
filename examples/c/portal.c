// A portal that keeps files under the names that clients give them: PUT, GET, HEAD and DELETE /files/NAME.
//
// The host moves all content; no byte of a file enters this program. Each request gets a fresh instance, which is thrown away
// with all its memory and handles, so nothing is freed here.

#include "handler.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DIGEST = 32, FIELDS = 8 };

typedef portico_storage_storage_stored_object_t stored_t;
typedef portico_storage_storage_error_t error_t;

// What a client gets: a text, or a stream with its size, or neither.
typedef struct {
    uint16_t status;
    wasi_http_types_tuple2_field_name_field_value_t fields[FIELDS];
    size_t count;
    const char *text;
    wasi_io_streams_own_input_stream_t source;
    uint64_t size;
} response_t;

// Adds a field. The value must outlive the response.
static void add(response_t *response, const char *name, const char *value) {
    if (response->count == FIELDS) __builtin_trap();
    wasi_http_types_tuple2_field_name_field_value_t *field = &response->fields[response->count++];
    handler_string_set(&field->f0, name);
    field->f1.ptr = (uint8_t *)value;
    field->f1.len = strlen(value);
}

static response_t refused(uint16_t status, const char *text) {
    return (response_t){.status = status, .text = text};
}

// Translates what the store reports.
static response_t failed(const error_t *error) {
    switch (error->tag) {
    case PORTICO_STORAGE_STORAGE_ERROR_NOT_FOUND: return refused(404, "not found\n");
    case PORTICO_STORAGE_STORAGE_ERROR_GONE: return refused(410, "deleted\n");
    case PORTICO_STORAGE_STORAGE_ERROR_CONFLICT: return refused(409, "another file has this name\n");
    case PORTICO_STORAGE_STORAGE_ERROR_INVALID_ARGUMENT: return refused(400, "invalid request\n");
    case PORTICO_STORAGE_STORAGE_ERROR_SIZE_MISMATCH: return refused(400, "another size was announced\n");
    case PORTICO_STORAGE_STORAGE_ERROR_DIGEST_MISMATCH: return refused(400, "another digest was announced\n");
    case PORTICO_STORAGE_STORAGE_ERROR_TOO_LARGE: return refused(413, "too large\n");
    case PORTICO_STORAGE_STORAGE_ERROR_INTERRUPTED: return refused(400, "the upload broke off\n");
    case PORTICO_STORAGE_STORAGE_ERROR_STALLED: return refused(408, "the upload stalled\n");
    case PORTICO_STORAGE_STORAGE_ERROR_NO_SPACE: return refused(507, "no space left\n");
    case PORTICO_STORAGE_STORAGE_ERROR_UNAVAILABLE: return refused(503, "try again later\n");
    default: return refused(500, "internal error\n");
    }
}

// Copies the first value of a field; false if it has none, or a longer one than fits.
static bool field(wasi_http_types_own_headers_t headers, const char *name, char *value, size_t room) {
    handler_string_t key;
    handler_string_set(&key, name);
    wasi_http_types_list_field_value_t values;
    wasi_http_types_method_fields_get(wasi_http_types_borrow_fields(headers), &key, &values);
    if (values.len == 0 || values.ptr[0].len >= room) return false;
    memcpy(value, values.ptr[0].ptr, values.ptr[0].len);
    value[values.ptr[0].len] = 0;
    return true;
}

// Reads digits up to another character; numbers beyond 64 bits are the largest one.
static uint64_t number(const char **text) {
    uint64_t value = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        uint64_t digit = **text - '0';
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    return value;
}

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Writes the digest as 43 characters, `=`, and the end of the text.
static void encode(const uint8_t *digest, char *text) {
    for (int i = 0; i < 43; i++) {
        int bit = i * 6, byte = bit / 8;
        unsigned pair = digest[byte] << 8 | (byte + 1 < DIGEST ? digest[byte + 1] : 0);
        *text++ = BASE64[pair >> (10 - bit % 8) & 63];
    }
    strcpy(text, "=");
}

// Reads the digest from the form that `encode` writes.
static bool decode(const char *text, uint8_t *digest) {
    memset(digest, 0, DIGEST);
    for (int i = 0; i < 43; i++) {
        const char *at = text[i] ? strchr(BASE64, text[i]) : NULL;
        if (!at) return false;
        unsigned value = (unsigned)(at - BASE64) << (10 - i * 6 % 8);
        digest[i * 6 / 8] |= value >> 8;
        if (i * 6 / 8 + 1 < DIGEST) digest[i * 6 / 8 + 1] |= value & 255;
    }
    return text[43] == '=';
}

static void etag(const stored_t *object, char *text) {
    *text++ = '"';
    for (int i = 0; i < DIGEST; i++) text += sprintf(text, "%02x", object->sha256.ptr[i]);
    strcpy(text, "\"");
}

static void add_validators(response_t *response, const stored_t *object) {
    static char tag[2 * DIGEST + 3], digest[64];
    etag(object, tag);
    strcpy(digest, "sha-256=:");
    encode(object->sha256.ptr, digest + 9);
    strcat(digest, ":");
    add(response, "etag", tag);
    add(response, "repr-digest", digest);
}

static response_t put(portico_storage_storage_borrow_store_t store, wasi_http_types_borrow_incoming_request_t request,
                      wasi_http_types_own_headers_t headers, handler_string_t *name) {
    static char length[32], announced[512], media_type[256];
    static uint8_t sha256[DIGEST];
    portico_storage_storage_final_options_t options = {.if_exists = PORTICO_STORAGE_STORAGE_IF_EXISTS_SAME_CONTENT_OK};
    const char *digits = length;
    if (field(headers, "content-length", length, sizeof length)) {
        options.expected.size = (handler_option_u64_t){.is_some = true, .val = number(&digits)};
    }
    // Repr-Digest is in RFC 9530.
    const char *digest = field(headers, "repr-digest", announced, sizeof announced) ? strstr(announced, "sha-256=:") : NULL;
    if (digest) {
        if (!decode(digest + 9, sha256) || digest[9 + 44] != ':') return refused(400, "repr-digest is malformed\n");
        options.expected.sha256.is_some = true;
        options.expected.sha256.val.ptr = sha256;
        options.expected.sha256.val.len = DIGEST;
    }
    if (field(headers, "content-type", media_type, sizeof media_type) && *media_type) {
        // A string that is not UTF-8 would be a trap where it leaves this program.
        for (const char *at = media_type; *at; at++) {
            if (*at & 0x80) return refused(400, "content-type is malformed\n");
        }
        options.content_type.is_some = true;
        handler_string_set(&options.content_type.val, media_type);
    }
    wasi_http_types_own_incoming_body_t body;
    wasi_http_types_own_input_stream_t content;
    wasi_http_types_method_incoming_request_consume(request, &body);
    wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &content);
    static stored_t object;
    error_t error;
    // Hands the body over: the host pulls it to its end, and checks what is expected.
    if (!portico_storage_storage_method_store_put_final(store, name, content, &options, &object, &error)) {
        return failed(&error);
    }
    response_t response = {.status = object.replayed ? 200 : 201};
    static char location[256];
    snprintf(location, sizeof location, "/files/%.*s", (int)object.file_id.len, (char *)object.file_id.ptr);
    add(&response, "location", location);
    add_validators(&response, &object);
    return response;
}

// Finds the half-open range that the client wants; false if it wants the whole file.
static bool selected(wasi_http_types_own_headers_t headers, const stored_t *object, uint64_t *start, uint64_t *end) {
    char range[64], condition[2 * DIGEST + 3], tag[2 * DIGEST + 3];
    etag(object, tag);
    if (!field(headers, "range", range, sizeof range) || strncmp(range, "bytes=", 6) != 0) return false;
    handler_string_t name;
    handler_string_set(&name, "if-range");
    if (wasi_http_types_method_fields_has(wasi_http_types_borrow_fields(headers), &name) &&
        !(field(headers, "if-range", condition, sizeof condition) && strcmp(condition, tag) == 0)) {
        return false;
    }
    const char *at = range + 6, *first = at;
    uint64_t from = number(&at);
    bool has_first = at > first;
    if (*at++ != '-') return false;
    const char *last = at;
    uint64_t to = number(&at);
    bool has_last = at > last;
    if (*at || !(has_first || has_last) || (has_first && has_last && to < from)) return false;
    *end = has_first && has_last && to < object->size ? to + 1 : object->size;
    *start = has_first ? from : to < object->size ? object->size - to : 0;
    return true;
}

static response_t get(portico_storage_storage_borrow_store_t store, wasi_http_types_own_headers_t headers,
                      handler_string_t *name, bool with_ranges) {
    portico_storage_storage_own_final_reader_t reader;
    error_t error;
    if (!portico_storage_storage_method_store_open_final(store, name, &reader, &error)) return failed(&error);
    static stored_t object;
    portico_storage_storage_method_final_reader_receipt(portico_storage_storage_borrow_final_reader(reader), &object);

    response_t response = {.status = 200};
    static char content_range[80], media_type[256] = "application/octet-stream";
    uint64_t start = 0, end = object.size;
    // Ranges are for GET alone (RFC 9110, 14.2).
    if (with_ranges && selected(headers, &object, &start, &end)) {
        if (start >= end) {
            response = refused(416, "no such range\n");
            snprintf(content_range, sizeof content_range, "bytes */%" PRIu64, object.size);
            add(&response, "content-range", content_range);
            return response;
        }
        response.status = 206;
        snprintf(content_range, sizeof content_range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, start, end - 1, object.size);
        add(&response, "content-range", content_range);
    }
    if (object.content_type.is_some) {
        snprintf(media_type, sizeof media_type, "%.*s", (int)object.content_type.val.len, (char *)object.content_type.val.ptr);
    }
    add(&response, "content-type", media_type);
    add(&response, "accept-ranges", "bytes");
    add_validators(&response, &object);
    portico_storage_storage_byte_range_t range = {.start = start, .end = {.is_some = true, .val = end}};
    if (!portico_storage_storage_method_final_reader_stream(portico_storage_storage_borrow_final_reader(reader), &range,
                                                            &response.source, &error)) {
        return failed(&error);
    }
    response.size = end - start;
    return response;
}

static response_t delete(portico_storage_storage_borrow_store_t store, handler_string_t *name) {
    stored_t object;
    error_t error;
    bool deleted;
    if (!portico_storage_storage_method_store_stat_final(store, name, &object, &error) ||
        !portico_storage_storage_method_store_delete_final(store, &object.bucket, &object.key, &deleted, &error)) {
        return failed(&error);
    }
    return (response_t){.status = 204};
}

// Takes the name from `/files/NAME`, without escapes: no name of the store needs one.
static bool file_name(wasi_http_types_borrow_incoming_request_t request, handler_string_t *name) {
    handler_string_t path;
    if (!wasi_http_types_method_incoming_request_path_with_query(request, &path) || path.len < 8 ||
        memcmp(path.ptr, "/files/", 7) != 0) {
        return false;
    }
    name->ptr = path.ptr + 7;
    for (name->len = 0; name->len < path.len - 7 && name->ptr[name->len] != '?'; name->len++) {
        if (name->ptr[name->len] == '/') return false;
    }
    return name->len > 0;
}

static void send(response_t *response, bool head, wasi_http_types_own_response_outparam_t out) {
    uint64_t size = response->text ? strlen(response->text) : response->size;
    static char length[32];
    if (response->status != 204) {
        snprintf(length, sizeof length, "%" PRIu64, size);
        add(response, "content-length", length);
    }
    wasi_http_types_list_tuple2_field_name_field_value_t entries = {.ptr = response->fields, .len = response->count};
    wasi_http_types_own_fields_t fields;
    wasi_http_types_header_error_t malformed;
    if (!wasi_http_types_static_fields_from_list(&entries, &fields, &malformed)) __builtin_trap();
    wasi_http_types_result_own_outgoing_response_error_code_t result = {
        .val.ok = wasi_http_types_constructor_outgoing_response(fields),
    };
    wasi_http_types_borrow_outgoing_response_t outgoing = wasi_http_types_borrow_outgoing_response(result.val.ok);
    wasi_http_types_method_outgoing_response_set_status_code(outgoing, response->status);
    if (size == 0 || head) return wasi_http_types_static_response_outparam_set(out, &result);

    wasi_http_types_own_outgoing_body_t body;
    wasi_io_streams_own_output_stream_t sink;
    wasi_http_types_method_outgoing_response_body(outgoing, &body);
    wasi_http_types_static_response_outparam_set(out, &result);
    wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &sink);
    wasi_io_streams_borrow_output_stream_t to = wasi_io_streams_borrow_output_stream(sink);
    wasi_io_streams_stream_error_t broken;
    if (response->text) {
        handler_list_u8_t text = {.ptr = (uint8_t *)response->text, .len = size};
        if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(to, &text, &broken)) return;
    } else {
        // The host moves the bytes. A body that is not finished reaches the client as one that broke off.
        wasi_io_streams_borrow_input_stream_t from = wasi_io_streams_borrow_input_stream(response->source);
        for (uint64_t moved; size > 0; size -= moved) {
            if (!wasi_io_streams_method_output_stream_blocking_splice(to, from, size, &moved, &broken)) return;
        }
    }
    wasi_io_streams_output_stream_drop_own(sink);
    wasi_http_types_error_code_t error;
    wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}

// The one export. The host calls it in a fresh instance for each request.
void exports_wasi_http_incoming_handler_handle(exports_wasi_http_incoming_handler_own_incoming_request_t own,
                                               exports_wasi_http_incoming_handler_own_response_outparam_t out) {
    wasi_http_types_borrow_incoming_request_t request = wasi_http_types_borrow_incoming_request(own);
    wasi_http_types_method_t method;
    wasi_http_types_method_incoming_request_method(request, &method);
    wasi_http_types_own_headers_t headers = wasi_http_types_method_incoming_request_headers(request);
    portico_storage_storage_borrow_store_t store = portico_storage_storage_borrow_store(portico_storage_storage_open());
    handler_string_t name;
    bool head = method.tag == WASI_HTTP_TYPES_METHOD_HEAD;
    response_t response;
    if (!file_name(request, &name)) {
        response = refused(404, "not found\n");
    } else if (method.tag == WASI_HTTP_TYPES_METHOD_PUT) {
        response = put(store, request, headers, &name);
    } else if (method.tag == WASI_HTTP_TYPES_METHOD_GET || head) {
        response = get(store, headers, &name, !head);
    } else if (method.tag == WASI_HTTP_TYPES_METHOD_DELETE) {
        response = delete(store, &name);
    } else {
        response = refused(405, "method not allowed\n");
        add(&response, "allow", "GET, HEAD, PUT, DELETE");
    }
    send(&response, head, out);
}
