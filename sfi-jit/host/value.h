// value.h — WebAssembly values as text: what sfi-run takes and prints.
#ifndef SFI_HOST_VALUE_H
#define SFI_HOST_VALUE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

const char *value_type_name(uint8_t type); // enum wasm_type
// i32, i64: decimal or 0x…, signed or unsigned, within the type. f32, f64: decimal, hexadecimal, inf, nan, nan:0xPAYLOAD. funcref,
// externref: null only. The whole text must be used.
bool value_parse(uint8_t type, const char *text, uint64_t *out_bits);
void value_print(uint8_t type, uint64_t bits, char *out, size_t size);
#endif
