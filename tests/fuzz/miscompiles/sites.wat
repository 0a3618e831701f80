;; What the corpus has nowhere else, so that each named miscompile changes some module's code.
(module
  (memory 1 1 shared)
  ;; Addresses straight from arguments, whose upper halves are anything.
  (func (export "vector") (param i32) (result v128) (v128.load8_splat (local.get 0)))
  (func (export "atomic") (param i32 i32) (result i32) (i32.atomic.rmw.add (local.get 0) (local.get 1)))
  (func (export "fence") (atomic.fence))
  (func (export "copy") (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const 16)))
  (func (export "fill") (param i32) (memory.fill (local.get 0) (i32.const 0x155) (i32.const 24)))
  (func (export "extension") (param i64) (result i64) (i64.extend_i32_u (i32.wrap_i64 (local.get 0))))
  ;; A load of 16 bytes that an operator needs 8 of; bytes out of two vectors in a row.
  (func (export "narrow") (param i32) (result v128) (i16x8.extend_low_i8x16_s (v128.load (local.get 0))))
  (func (export "align") (param v128 v128) (result v128)
    (i8x16.shuffle 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 (local.get 0) (local.get 1)))
  ;; Sums that may wrap, so that no part of them is an offset.
  (func (export "and") (param i32) (result i32)
    (i32.load (i32.add (i32.and (local.get 0) (i32.const -256)) (i32.const 4096))))
  (func (export "byte") (param i32) (result i32)
    (i32.load (i32.add (i32.shl (i32.load8_u (local.get 0)) (i32.const 24)) (i32.const 0x02000000))))
  (func (export "shift-bound") (param i32) (result i32)
    (i32.load (i32.add (i32.shl (i32.shr_u (local.get 0) (i32.const 1)) (i32.const 1)) (i32.const 4096))))
  (func (export "choice") (param i32 i32) (result i32)
    (i32.load (i32.add (select (i32.const 5) (local.get 0) (local.get 1)) (i32.const 64))))
  (func (export "or") (param i32) (result i32)
    (i32.load (i32.or (i32.and (local.get 0) (i32.const 0xff)) (i32.const 0x31))))
  (func (export "sum") (param i32 i32) (result i32)
    (i32.load (i32.add (i32.add (i32.and (local.get 0) (i32.const 0x7fffffff)) (i32.const 64))
                       (i32.add (i32.and (local.get 1) (i32.const 0x7fffffff)) (i32.const 64)))))
  (func (export "product") (param i32) (result i32)
    (i32.load (i32.shl (i32.add (i32.and (local.get 0) (i32.const 0x0fffffff)) (i32.const 64)) (i32.const 4))))
  ;; What lies in memory is changed, there and beside it.
  (func (export "update") (param i32 i32)
    (i32.store8 (local.get 0) (i32.add (i32.load8_u (local.get 0)) (local.get 1)))
    (i32.store (local.get 0) (i32.add (i32.load (local.get 1)) (i32.const 1)))
    (i32.store8 (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1))))
  ;; A counter that may step over its end.
  (func (export "steps") (param i32) (result i32) (local i32)
    (local.set 0 (i32.and (local.get 0) (i32.const 15)))
    (loop
      (local.set 1 (i32.add (local.get 1) (i32.load (i32.add (local.get 0) (i32.const 4096)))))
      (local.set 0 (i32.add (local.get 0) (i32.const 4)))
      (br_if 0 (i32.ne (local.get 0) (i32.const 415))))
    (local.get 1))
  ;; A switch whose labels turn out to be one place: the compiler crashed on it.
  (func (export "one-place") (param i32)
    (block (block (block (br_table 0 1 0 (local.get 0))))))
  ;; The next value is loaded before the present one is written through.
  (func (export "list") (param i32) (local i32)
    (loop
      (local.set 1 (i32.load (local.get 0)))
      (i32.store offset=4 (local.get 0) (i32.const 7))
      (br_if 0 (local.tee 0 (local.get 1))))))
