;; ESC-001 (CVE-2021-32629): an i32 ≥ 2³¹ is kept while so many others live that it is spilled, then it is an address. A
;; sign-extending reload would reach 2 GiB below the memory.
;; run: --invoke go 0x80000000 8
;; status: 134
;; err: out of bounds memory access in .*, address 0x80000008
;; run: --invoke go 0xfffffff0 8
;; status: 134
;; err: address 0xfffffff8
;; run: --invoke go 16 -8
;; out: 42
(module
  (memory 1)
  (data (i32.const 8) "\2a")
  (func $mix (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 0))
  (func (export "go") (param $x i32) (param $y i32) (result i32)
    (local $s i32) (local $1 i32) (local $2 i32) (local $3 i32) (local $4 i32) (local $5 i32) (local $6 i32) (local $7 i32)
    (local $8 i32) (local $9 i32) (local $10 i32) (local $11 i32) (local $12 i32) (local $13 i32) (local $14 i32) (local $15 i32)
    (local.set $s (i32.add (local.get $x) (local.get $y)))
    (local.set $1 (i32.mul (local.get $x) (local.get $y))) (local.set $2 (i32.xor (local.get $x) (local.get $1)))
    (local.set $3 (i32.mul (local.get $1) (local.get $2))) (local.set $4 (i32.xor (local.get $2) (local.get $3)))
    (local.set $5 (i32.mul (local.get $3) (local.get $4))) (local.set $6 (i32.xor (local.get $4) (local.get $5)))
    (local.set $7 (i32.mul (local.get $5) (local.get $6))) (local.set $8 (i32.xor (local.get $6) (local.get $7)))
    (local.set $9 (i32.mul (local.get $7) (local.get $8))) (local.set $10 (i32.xor (local.get $8) (local.get $9)))
    (local.set $11 (i32.mul (local.get $9) (local.get $10))) (local.set $12 (i32.xor (local.get $10) (local.get $11)))
    (local.set $13 (i32.mul (local.get $11) (local.get $12))) (local.set $14 (i32.xor (local.get $12) (local.get $13)))
    (local.set $15 (i32.mul (local.get $13) (local.get $14)))
    (i32.add
      (call $mix (local.get $x) (local.get $y) (local.get $s) (local.get $1) (local.get $2) (local.get $3) (local.get $4)
        (local.get $5) (local.get $6) (local.get $7) (local.get $8) (local.get $9) (local.get $10) (local.get $11)
        (local.get $12) (local.get $13) (local.get $14) (local.get $15))
      (i32.load8_u (local.get $s)))))
