// Package export_wasi_http_incoming_handler is a portal that keeps files under the names that clients give them: PUT, GET,
// HEAD and DELETE /files/NAME.
//
// The host moves all content; no byte of a file enters this program. wit-bindgen decides the name of this package; the
// packages that it imports are generated.
package export_wasi_http_incoming_handler

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	wit "go.bytecodealliance.org/pkg/wit/types"
	"wit_component/portico_storage_storage"
	"wit_component/wasi_http_types"
	"wit_component/wasi_io_streams"
)

type (
	// Field is the name of a field, and its value.
	Field  = wit.Tuple2[string, []uint8]
	stored = portico_storage_storage.StoredObject
)

// writeMax is the most bytes of one blocking write.
const writeMax = 4096

var (
	fileOf  = regexp.MustCompile(`^/files/([^/]+)$`)
	rangeOf = regexp.MustCompile(`^bytes=(\d*)-(\d*)$`)
	// Repr-Digest is in RFC 9530.
	sha256Of = regexp.MustCompile(`(?:^|,)\s*sha-256=:([^:]*):`)
)

// statuses translates what the store reports.
var statuses = map[uint8]int{
	portico_storage_storage.ErrorNotFound:        404,
	portico_storage_storage.ErrorGone:            410,
	portico_storage_storage.ErrorConflict:        409,
	portico_storage_storage.ErrorInvalidArgument: 400,
	portico_storage_storage.ErrorSizeMismatch:    400,
	portico_storage_storage.ErrorDigestMismatch:  400,
	portico_storage_storage.ErrorTooLarge:        413,
	portico_storage_storage.ErrorInterrupted:     400,
	portico_storage_storage.ErrorStalled:         408,
	portico_storage_storage.ErrorNoSpace:         507,
	portico_storage_storage.ErrorUnavailable:     503,
}

// response is what a client gets: a text, or a stream with its size, or neither.
type response struct {
	status int
	fields []Field
	text   string
	source *wasi_io_streams.InputStream
	size   uint64
}

// Handle is the one export. The host calls it in a fresh instance for each request.
func Handle(request *wasi_http_types.IncomingRequest, out *wasi_http_types.ResponseOutparam) {
	method := request.Method().Tag()
	answer(request, method).send(method, out)
}

func answer(request *wasi_http_types.IncomingRequest, method uint8) response {
	path, _, _ := strings.Cut(request.PathWithQuery().SomeOr(""), "?")
	named := fileOf.FindStringSubmatch(path)
	if named == nil {
		return refused(404, "not found")
	}
	name, err := url.PathUnescape(named[1])
	// A string that is not UTF-8 would be a trap where it leaves this program.
	if err != nil || !utf8.ValidString(name) {
		return refused(400, "malformed escape")
	}
	store := portico_storage_storage.Open()
	defer store.Drop()
	switch method {
	case wasi_http_types.MethodPut:
		return put(store, request, name)
	case wasi_http_types.MethodGet, wasi_http_types.MethodHead:
		return get(store, request, name, method)
	case wasi_http_types.MethodDelete:
		found := store.StatFinal(name)
		if found.IsErr() {
			return failed(found.Err())
		}
		store.DeleteFinal(found.Ok().Bucket, found.Ok().Key)
		return response{status: 204}
	default:
		return refused(405, "method not allowed", field("allow", "GET, HEAD, PUT, DELETE"))
	}
}

func put(store *portico_storage_storage.Store, request *wasi_http_types.IncomingRequest, name string) response {
	fields := request.Headers()
	defer fields.Drop()
	expected := portico_storage_storage.Expected{Size: wit.None[uint64](), Sha256: wit.None[[]uint8]()}
	if length, err := strconv.ParseUint(first(fields, "content-length"), 10, 63); err == nil {
		expected.Size = wit.Some(length)
	}
	if announced := sha256Of.FindStringSubmatch(first(fields, "repr-digest")); announced != nil {
		digest, err := base64.StdEncoding.DecodeString(announced[1])
		if err != nil {
			return refused(400, "repr-digest is malformed")
		}
		expected.Sha256 = wit.Some(digest)
	}
	options := portico_storage_storage.FinalOptions{
		Expected:    expected,
		IfExists:    portico_storage_storage.IfExistsSameContentOk,
		ContentType: wit.None[string](),
	}
	if mediaType := first(fields, "content-type"); mediaType != "" {
		options.ContentType = wit.Some(mediaType)
	}
	body := request.Consume().Ok()
	defer body.Drop()
	// Hands the body over: the host pulls it to its end, and checks what is expected.
	result := store.PutFinal(name, body.Stream().Ok(), options)
	if result.IsErr() {
		return failed(result.Err())
	}
	object := result.Ok()
	status := 201
	if object.Replayed {
		status = 200
	}
	return response{status: status, fields: append(validators(object), field("location", "/files/"+object.FileId))}
}

func get(store *portico_storage_storage.Store, request *wasi_http_types.IncomingRequest, name string, method uint8) response {
	opened := store.OpenFinal(name)
	if opened.IsErr() {
		return failed(opened.Err())
	}
	reader := opened.Ok()
	defer reader.Drop()
	object := reader.Receipt()
	mediaType := object.ContentType.SomeOr("application/octet-stream")
	fields := append(validators(object), field("accept-ranges", "bytes"), field("content-type", mediaType))
	status, start, end := 200, uint64(0), object.Size
	// Ranges are for GET alone (RFC 9110, 14.2).
	if method == wasi_http_types.MethodGet {
		var wanted bool
		headers := request.Headers()
		if start, end, wanted = selected(headers, object); wanted && start >= end {
			return refused(416, "no such range", field("content-range", fmt.Sprintf("bytes */%d", object.Size)))
		} else if wanted {
			status = 206
			fields = append(fields, field("content-range", fmt.Sprintf("bytes %d-%d/%d", start, end-1, object.Size)))
		}
		headers.Drop()
	}
	stream := reader.Stream(wit.Some(portico_storage_storage.ByteRange{Start: start, End: wit.Some(end)}))
	if stream.IsErr() {
		return failed(stream.Err())
	}
	return response{status: status, fields: fields, source: stream.Ok(), size: end - start}
}

// selected returns the half-open range that the client wants, and whether it wants one.
func selected(fields *wasi_http_types.Fields, object stored) (start, end uint64, wanted bool) {
	size := object.Size
	parts := rangeOf.FindStringSubmatch(first(fields, "range"))
	condition := first(fields, "if-range")
	if parts == nil || parts[1]+parts[2] == "" || (condition != "" && condition != etag(object)) {
		return 0, size, false
	}
	// A number beyond 64 bits is the largest one.
	from, _ := strconv.ParseUint(parts[1], 10, 64)
	to, _ := strconv.ParseUint(parts[2], 10, 64)
	switch {
	case parts[1] == "":
		return size - min(to, size), size, true
	case parts[2] == "":
		return from, size, true
	case to < from:
		return 0, size, false
	default:
		return from, min(to, size-min(size, 1)) + 1, true
	}
}

func validators(object stored) []Field {
	digest := base64.StdEncoding.EncodeToString(object.Sha256)
	return []Field{field("etag", etag(object)), field("repr-digest", "sha-256=:"+digest+":")}
}

func etag(object stored) string {
	return `"` + hex.EncodeToString(object.Sha256) + `"`
}

func first(fields *wasi_http_types.Fields, name string) string {
	if values := fields.Get(name); len(values) > 0 {
		return strings.ToValidUTF8(string(values[0]), "\uFFFD")
	}
	return ""
}

func field(name, value string) Field {
	return Field{F0: name, F1: []byte(value)}
}

func refused(status int, text string, fields ...Field) response {
	return response{status: status, fields: fields, text: text}
}

func failed(err portico_storage_storage.Error) response {
	status, known := statuses[err.Tag()]
	if !known {
		status = 500
	}
	return refused(status, "the store refused this request")
}

// send sends the head, and the body unless the request is HEAD.
func (r response) send(method uint8, out *wasi_http_types.ResponseOutparam) {
	size := max(r.size, uint64(len(r.text)))
	fields := r.fields
	if r.status != 204 {
		fields = append(fields, field("content-length", strconv.FormatUint(size, 10)))
	}
	head := wasi_http_types.MakeOutgoingResponse(wasi_http_types.FieldsFromList(fields).Ok())
	head.SetStatusCode(uint16(r.status))
	ok := wit.Ok[*wasi_http_types.OutgoingResponse, wasi_http_types.ErrorCode]
	if size == 0 || method == wasi_http_types.MethodHead {
		wasi_http_types.ResponseOutparamSet(out, ok(head))
		return
	}
	body := head.Body().Ok()
	wasi_http_types.ResponseOutparamSet(out, ok(head))
	sink := body.Write().Ok()
	if r.source != nil {
		// The host moves the bytes.
		for left := size; left > 0; {
			moved := sink.BlockingSplice(r.source, left)
			if moved.IsErr() {
				// A body that is not finished reaches the client as one that broke off.
				return
			}
			left -= moved.Ok()
		}
	} else {
		for text := []byte(r.text); len(text) > 0; {
			length := min(len(text), writeMax)
			sink.BlockingWriteAndFlush(text[:length])
			text = text[length:]
		}
	}
	sink.Drop()
	wasi_http_types.OutgoingBodyFinish(body, wit.None[*wasi_http_types.Fields]())
}
