;; Calls of all kinds, globals here and elsewhere, tables, references, bulk memory: what becomes a built-in and with what.
(module
  (type $t (func (param i32) (result i32 i64)))
  (import "m" "f" (func $f (type $t)))
  (import "m" "i" (global $imported i64))
  (import "m" "v" (global $variable (mut f32)))
  (memory 1)
  (table $t0 2 funcref)
  (table $t1 2 externref)
  (global $own (mut f64) (f64.const 1.5))
  (elem $e func $f)
  (data $d "abc")
  (func $direct (result i32 i64)
    (drop (call $f (i32.const 1))) (i32.const 2) (call_indirect (type $t)))
  (func $globals (result f32)
    (drop (global.get $imported))
    (global.set $own (f64.add (global.get $own) (global.get $own)))
    (global.set $variable (f32.const 2))
    (global.get $variable))
  (func $bulk
    (memory.init $d (i32.const 1) (i32.const 2) (i32.const 3))
    (data.drop $d)
    (memory.copy (i32.const 1) (i32.const 2) (i32.const 3))
    (memory.fill (i32.const 1) (i32.const 2) (i32.const 3))
    (drop (memory.grow (memory.size))))
  (func $tables (param externref) (result i32)
    (table.set $t1 (i32.const 1) (table.get $t1 (i32.const 0)))
    (table.init $t0 $e (i32.const 1) (i32.const 2) (i32.const 3))
    (elem.drop $e)
    (table.copy $t0 $t0 (i32.const 1) (i32.const 2) (i32.const 3))
    (table.fill $t1 (i32.const 1) (ref.null extern) (i32.const 3))
    (drop (table.grow $t0 (ref.func $f) (i32.const 1)))
    (drop (table.size $t1))
    (ref.is_null (local.get 0))))
;;| func 1 $direct () -> (i32 i64)
;;| b0:
;;|     v1 = i32.const 1
;;|     v2 = i32.call f0 v1
;;|     v3 = i64.result v2 1
;;|     v4 = i32.const 2
;;|     v5 = i32.call.indirect type 0 table 0 v2 v4
;;|     v6 = i64.result v5 1
;;|     return v5 v6
;;| func 2 $globals () -> (f32)
;;| b0:
;;|     v1 = i64.global.get 0
;;|     v2 = f64.global.get 2
;;|     v3 = f64.global.get 2
;;|     v4 = f64.fadd v2 v3
;;|     global.set 2 v4
;;|     v6 = f32.const 0x40000000
;;|     v7 = i32.bitcast v6
;;|     v8 = i64.extu v7
;;|     v9 = i32.const 1
;;|     call.builtin global.set v9 v8
;;|     v11 = i32.const 1
;;|     v12 = i64.call.builtin global.get v11
;;|     v13 = i32.wrap v12
;;|     v14 = f32.bitcast v13
;;|     return v14
;;| func 3 $bulk () -> ()
;;| b0:
;;|     v1 = i32.const 1
;;|     v2 = i32.const 2
;;|     v3 = i32.const 3
;;|     v4 = i32.const 0
;;|     call.builtin memory.init v1 v2 v3 v4
;;|     v6 = i32.const 0
;;|     call.builtin data.drop v6
;;|     v8 = i32.const 1
;;|     v9 = i32.const 2
;;|     v10 = i32.const 3
;;|     call.builtin memory.copy v8 v9 v10
;;|     v12 = i32.const 1
;;|     v13 = i32.const 2
;;|     v14 = i32.const 3
;;|     call.builtin memory.fill v12 v13 v14
;;|     v16 = i32.memsize
;;|     v17 = i32.call.builtin memory.grow v16
;;|     return
;;| func 4 $tables (externref) -> (i32)
;;| b0:
;;|     v1 = i64.param 0
;;|     v2 = i32.const 1
;;|     v3 = i32.const 0
;;|     v4 = i32.const 1
;;|     v5 = i64.call.builtin table.get v3 v4
;;|     v6 = i32.const 1
;;|     call.builtin table.set v2 v5 v6
;;|     v8 = i32.const 1
;;|     v9 = i32.const 2
;;|     v10 = i32.const 3
;;|     v11 = i32.const 0
;;|     v12 = i32.const 0
;;|     call.builtin table.init v8 v9 v10 v11 v12
;;|     v14 = i32.const 0
;;|     call.builtin elem.drop v14
;;|     v16 = i32.const 1
;;|     v17 = i32.const 2
;;|     v18 = i32.const 3
;;|     v19 = i32.const 0
;;|     v20 = i32.const 0
;;|     call.builtin table.copy v16 v17 v18 v19 v20
;;|     v22 = i32.const 1
;;|     v23 = i64.const 0
;;|     v24 = i32.const 3
;;|     v25 = i32.const 1
;;|     call.builtin table.fill v22 v23 v24 v25
;;|     v27 = i32.const 0
;;|     v28 = i64.call.builtin ref.func v27
;;|     v29 = i32.const 1
;;|     v30 = i32.const 0
;;|     v31 = i32.call.builtin table.grow v28 v29 v30
;;|     v32 = i32.table.len 1
;;|     v33 = i64.const 0
;;|     v34 = i32.eq v1 v33
;;|     return v34
