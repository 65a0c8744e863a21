/* Decodes PostgreSQL's COPY (FORMAT binary), as it comes from the wire, into the buffers of Arrow arrays.
 *
 * It needs nothing but a C compiler: no header of Python or Arrow. copy_binary.py loads it and describes the
 * columns; the structures here and there must stay the same.
 *
 * Formats: PostgreSQL's documentation, "Message Formats" and "COPY", and the send functions of its types; Arrow's
 * "Columnar Format".
 */

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "written for little-endian machines; without this code rows are read as CSV"
#endif

/* Changed with every change of a structure, an encoding or a status. */
enum { LAYOUT = 1 };

/* What the wire carries and what is made of it. */
enum encoding {
    BOOLEAN = 0,   /* a byte -> a bit */
    INTEGER = 1,   /* 2, 4 or 8 bytes, signed -> `width` bytes */
    UNSIGNED = 2,  /* 4 or 8 bytes -> `width` bytes */
    FLOAT = 3,     /* 4 or 8 bytes -> the same */
    DECIMAL = 4,   /* numeric -> decimal128, or an integer of `width` bytes */
    BYTES = 5,     /* as they are, behind `skip` bytes -> offsets and data */
    PADDED = 6,    /* the same, without the blanks at its end */
    UUID = 7,      /* 16 bytes -> 36 characters */
    TEMPORAL = 8,  /* 4 or 8 bytes, signed, moved by `shift` -> `width` bytes */
};

enum status {
    NEED_BYTES = 0,    /* every whole message was used up */
    GROUP_FULL = 1,    /* no room for another row, or enough bytes */
    OTHER_MESSAGE = 2, /* a message that is not a row stands at `used` */
    BAD_VALUE = 3,     /* `field` of column `column` has no place in its type */
    CORRUPT = 4,       /* not what PostgreSQL's protocol says */
};

typedef struct {
    int32_t encoding;
    int32_t width;     /* bytes of an Arrow value; 0 with BOOLEAN, BYTES, PADDED, UUID */
    int32_t scale;     /* digits after the point of DECIMAL */
    int32_t skip;      /* bytes before the value of BYTES: the version of jsonb */
    int64_t shift;     /* from PostgreSQL's epoch to Arrow's, in the column's unit */
    int64_t smallest;  /* of INTEGER, UNSIGNED, TEMPORAL (after the shift), and DECIMAL as an integer */
    int64_t largest;
    uint64_t limit[2]; /* of DECIMAL: 10^precision, low and high half */
    uint8_t *validity; /* bitmap of ones */
    uint8_t *values;   /* fixed-width values, a zeroed bitmap, or the offsets as int32 */
    uint8_t *data;     /* bytes of BYTES and UUID */
    int64_t data_capacity;
    int64_t data_size;
    int64_t nulls;
} column_t;

typedef struct {
    int64_t rows;         /* in the buffers so far */
    int64_t row_capacity;
    int64_t bytes;        /* of the wire that those rows took */
    int64_t byte_limit;   /* past which a group is full, unless it has a single row */
    int64_t used;         /* bytes of the wire that were decoded by this call */
    int64_t needed;       /* with GROUP_FULL: room that the next row may need in a column's data; 0: it has it */
    int64_t field;        /* with BAD_VALUE: where the value begins on the wire, */
    int64_t field_size;   /* and its size */
    int32_t column;
    int32_t started;      /* whether the header of the stream is behind */
} group_t;

/* What the loader compares with its own structures: a library of another release must not be used. */
int32_t layout(void) { return (int32_t)(LAYOUT << 16 | sizeof(column_t) << 8 | sizeof(group_t)); }

static const uint8_t SIGNATURE[11] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0};
enum { SIGNATURE_SIZE = sizeof(SIGNATURE) };

static const uint32_t POWERS[4] = {1, 10, 100, 1000};

static inline uint16_t read16(const uint8_t *from) { return (uint16_t)(from[0] << 8 | from[1]); }

static inline uint32_t read32(const uint8_t *from) {
    uint32_t value;
    memcpy(&value, from, 4);
    return __builtin_bswap32(value);
}

static inline uint64_t read64(const uint8_t *from) {
    uint64_t value;
    memcpy(&value, from, 8);
    return __builtin_bswap64(value);
}

/* Writes the lowest `width` bytes; Arrow's are little-endian, as the machines that this is compiled on. */
static inline void write_integer(uint8_t *values, int64_t row, int32_t width, int64_t value) {
    memcpy(values + row * width, &value, (size_t)width);
}

/* A number in groups of four decimal digits -> value * 10^scale; false when it has no place in decimal(p, scale). */
static int read_numeric(const column_t *column, const uint8_t *field, int32_t size, __int128 *result) {
    if (size < 8) return 0;
    int32_t groups = read16(field);
    int32_t weight = (int16_t)read16(field + 2);
    uint32_t sign = read16(field + 4);
    if ((sign != 0 && sign != 0x4000) || size != 8 + 2 * groups) return 0; /* NaN, infinities */

    unsigned __int128 limit = (unsigned __int128)column->limit[1] << 64 | column->limit[0];
    unsigned __int128 value = 0;
    /* Each group of digits stands for digits * 10^exponent. */
    int32_t exponent = weight * 4 + column->scale;
    if (groups <= 4 && exponent <= 4 * 4) {
        /* At most 16 digits, and the groups behind the last one are zeros: no step can overflow. */
        uint64_t small = 0;
        const uint8_t *digits = field + 8;
        for (int32_t group = 0; group < groups; group++, digits += 2, exponent -= 4) {
            uint32_t four = read16(digits);
            if (exponent >= 0) {
                small = small * 10000 + four;
            } else if (exponent > -4) {
                uint32_t cut = POWERS[-exponent];
                if (four % cut) return 0;
                small = small * POWERS[4 + exponent] + four / cut;
            } else if (four) {
                return 0;
            }
        }
        value = small;
    } else {
        const uint8_t *digits = field + 8;
        for (int32_t group = 0; group < groups; group++, digits += 2, exponent -= 4) {
            uint32_t four = read16(digits), factor = 10000, cut = 1;
            if (exponent <= -4) {
                if (four) return 0;
                continue;
            }
            if (exponent < 0) {
                cut = POWERS[-exponent];
                factor = POWERS[4 + exponent];
            }
            /* No step overflows: the limit is at most 10^38, and value stays below it. */
            if (four % cut || value > (limit - 1) / factor) return 0;
            value = value * factor + four / cut;
            if (value >= limit) return 0;
        }
    }
    /* `exponent` is by 4 below that of the last group. */
    if (value) {
        for (exponent += 4; exponent > 0; exponent--) {
            if (value > (limit - 1) / 10) return 0;
            value *= 10;
        }
    }
    if (value >= limit) return 0;
    *result = sign ? -(__int128)value : (__int128)value;
    return 1;
}

static void write_uuid(uint8_t *to, const uint8_t *field) {
    static const char HEX[] = "0123456789abcdef";
    for (int index = 0; index < 16; index++) {
        if (index == 4 || index == 6 || index == 8 || index == 10) *to++ = '-';
        *to++ = (uint8_t)HEX[field[index] >> 4];
        *to++ = (uint8_t)HEX[field[index] & 15];
    }
}

/* One value that is not NULL into row `row`; false when it has no place in the column's type. */
static inline int read_value(column_t *column, int64_t row, const uint8_t *field, int32_t size) {
    int64_t value;
    switch (column->encoding) {
    case BYTES:
        size -= column->skip;
        if (size < 0) return 0;
        memcpy(column->data + column->data_size, field + column->skip, (size_t)size);
        column->data_size += size;
        return 1;
    case PADDED:
        while (size > 0 && field[size - 1] == ' ') size--;
        memcpy(column->data + column->data_size, field, (size_t)size);
        column->data_size += size;
        return 1;
    case DECIMAL: {
        __int128 number;
        if (!read_numeric(column, field, size, &number)) return 0;
        if (column->width == 16) {
            memcpy(column->values + row * 16, &number, 16);
            return 1;
        }
        if (number < column->smallest || number > column->largest) return 0;
        write_integer(column->values, row, column->width, (int64_t)number);
        return 1;
    }
    case INTEGER:
    case TEMPORAL:
        if (size == 4) value = (int32_t)read32(field);
        else if (size == 8) value = (int64_t)read64(field);
        else if (size == 2) value = (int16_t)read16(field);
        else return 0;
        /* PostgreSQL's infinities are the ends of its range: the shift must not carry them over. */
        if (column->shift && __builtin_add_overflow(value, column->shift, &value)) return 0;
        if (value < column->smallest || value > column->largest) return 0;
        write_integer(column->values, row, column->width, value);
        return 1;
    case UNSIGNED:
        if (size == 4) value = (int64_t)read32(field);
        else if (size == 8) value = (int64_t)read64(field);
        else return 0;
        if (value < column->smallest || value > column->largest) return 0;
        write_integer(column->values, row, column->width, value);
        return 1;
    case FLOAT:
        if (size != column->width) return 0;
        value = size == 8 ? (int64_t)read64(field) : (int64_t)read32(field);
        write_integer(column->values, row, column->width, value);
        return 1;
    case BOOLEAN:
        if (size != 1) return 0;
        if (field[0]) column->values[row >> 3] |= (uint8_t)(1 << (row & 7));
        return 1;
    case UUID:
        if (size != 16) return 0;
        write_uuid(column->data + column->data_size, field);
        column->data_size += 36;
        return 1;
    }
    return 0;
}

/* Bytes that fit into every column of variable size. */
static int64_t least_room(const column_t *columns, int32_t column_count) {
    int64_t least = INT64_MAX;
    for (int32_t index = 0; index < column_count; index++) {
        const column_t *column = &columns[index];
        if (column->data && column->data_capacity - column->data_size < least)
            least = column->data_capacity - column->data_size;
    }
    return least;
}

/* Decodes rows from the `size` bytes at `wire`, which begin with a message, until one of the reasons above.
 *
 * A row is decoded as a whole or not at all, except with BAD_VALUE and CORRUPT, after which the group is lost.
 */
int32_t decode_rows(const uint8_t *wire, int64_t size, column_t *columns, int32_t column_count, group_t *group) {
    int64_t position = 0, room = 0;
    for (group->used = group->needed = 0;; group->used = position) {
        if (size - position < 5) return NEED_BYTES;
        if (wire[position] != 'd') return OTHER_MESSAGE;
        int64_t length = (int64_t)read32(wire + position + 1) + 1;
        if (length < 7) return CORRUPT;
        if (size - position < length) return NEED_BYTES;
        const uint8_t *field = wire + position + 5, *end = wire + position + length;

        if (!group->started) {
            if (end - field < SIGNATURE_SIZE + 8 || memcmp(field, SIGNATURE, SIGNATURE_SIZE)) return CORRUPT;
            field += SIGNATURE_SIZE + 4;
            int64_t extension = (int64_t)read32(field);
            if (end - field < 4 + extension) return CORRUPT;
            field += 4 + extension;
            if (field == end) { /* the header came in a message of its own */
                group->started = 1;
                position += length;
                continue;
            }
            if (end - field < 2) return CORRUPT;
        }
        int32_t fields = (int16_t)read16(field);
        field += 2;
        if (fields == -1 && field == end) { /* the trailer */
            group->started = 1;
            position += length;
            continue;
        }
        if (fields != column_count) return CORRUPT;

        if (group->rows == group->row_capacity) return GROUP_FULL;
        if (group->rows && group->bytes + length > group->byte_limit) return GROUP_FULL;
        /* No value is longer than its row, but a UUID becomes 36 bytes from 16. */
        room -= length + 20;
        if (room < 0) {
            room = least_room(columns, column_count) - (length + 20);
            if (room < 0) {
                group->needed = length + 20;
                return GROUP_FULL;
            }
        }

        int64_t row = group->rows;
        uint8_t bit = (uint8_t)(1 << (row & 7));
        for (int32_t index = 0; index < column_count; index++) {
            column_t *column = &columns[index];
            if (end - field < 4) return CORRUPT;
            int32_t field_size = (int32_t)read32(field);
            field += 4;
            if (field_size >= 0) {
                if (end - field < field_size) return CORRUPT;
                if (!read_value(column, row, field, field_size)) {
                    group->field = field - wire;
                    group->field_size = field_size;
                    group->column = index;
                    return BAD_VALUE;
                }
                field += field_size;
            } else if (field_size == -1) {
                column->nulls++;
                column->validity[row >> 3] &= (uint8_t)~bit;
                if (column->width) memset(column->values + row * column->width, 0, (size_t)column->width);
            } else {
                return CORRUPT;
            }
            if (column->data) {
                int32_t offset = (int32_t)column->data_size;
                memcpy(column->values + (row + 1) * 4, &offset, 4);
            }
        }
        if (field != end) return CORRUPT;
        group->started = 1;
        group->rows++;
        group->bytes += length;
        position += length;
    }
}
