;; ESC-002 (CVE-2023-26489): a shift by 1 to 3 folded into the address would make it 35 bits long. It wraps.
;; run: --invoke shl1 0x80000004
;; out: 42
;; run: --invoke shl2 0x40000002
;; out: 42
;; run: --invoke shl3 0x20000001
;; out: 42
;; run: --invoke shl3 0x1fffffff
;; status: 134
;; err: address 0xfffffff8
;; run: --invoke lea 0x20000000 8
;; out: 42
(module
  (memory 1)
  (data (i32.const 8) "\2a")
  (func (export "shl1") (param i32) (result i32) (i32.load8_u (i32.shl (local.get 0) (i32.const 1))))
  (func (export "shl2") (param i32) (result i32) (i32.load8_u (i32.shl (local.get 0) (i32.const 2))))
  (func (export "shl3") (param i32) (result i32) (i32.load8_u (i32.shl (local.get 0) (i32.const 3))))
  (func (export "lea") (param i32 i32) (result i32)
    (i32.load8_u (i32.add (local.get 1) (i32.shl (local.get 0) (i32.const 3))))))
