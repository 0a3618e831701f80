;; Indirect calls by a constant row, or of the only function of their type, are direct where nobody can write the table.
;;passes direct
(module
  (type $one (func (param i32) (result i32)))
  (type $same (func (param i32) (result i32)))
  (type $two (func (result i64)))
  (type $three (func (result f32 f32)))
  (table $known 9 funcref)
  (table $exported (export "t") 3 funcref)
  (table $written 3 funcref)
  (elem (table $known) (i32.const 1) func $f $g $f $h $h)
  (elem (table $known) (i32.const 6) func $k)
  (elem (table $exported) (i32.const 0) func $h $h $f)
  (elem (table $written) (i32.const 0) func $h $h $f)
  (func $f (type $one) (local.get 0))
  (func $g (type $same) (i32.const 7))
  (func $h (type $two) (i64.const 8))
  (func $k (type $three) (f32.const 1) (f32.const 2))
  (func $constant (result i32) (call_indirect $known (type $same) (i32.const 5) (i32.const 3)))
  (func $constant_tail (result i32) (return_call_indirect $known (type $one) (i32.const 5) (i32.const 2)))
  (func $run (param i32) (result i64) (call_indirect $known (type $two) (local.get 0)))
  (func $single (param i32) (result f32 f32) (call_indirect $known (type $three) (local.get 0)))
  (func $twice (param i32) (result i64)
    (i64.add (call_indirect $known (type $two) (local.get 0)) (call_indirect $known (type $two) (i32.const 4))))
  ;; what stays
  (func $of_several (param i32) (result i32) (call_indirect $known (type $one) (i32.const 5) (local.get 0)))
  (func $null (result i32) (call_indirect $known (type $one) (i32.const 5) (i32.const 0)))
  (func $wrong_type (result i32) (call_indirect $known (type $one) (i32.const 5) (i32.const 4)))
  (func $outside (result i32) (call_indirect $known (type $one) (i32.const 5) (i32.const 9)))
  (func $stays_exported (result i64) (call_indirect $exported (type $two) (i32.const 0)))
  (func $stays_written (param i32) (result i64)
    (table.set $written (i32.const 0) (ref.null func))
    (call_indirect $written (type $two) (local.get 0))))
;;| func 0 $f (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     return v1
;;| func 1 $g (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 7
;;|     return v2
;;| func 2 $h () -> (i64)
;;| b0:
;;|     v1 = i64.const 8
;;|     return v1
;;| func 3 $k () -> (f32 f32)
;;| b0:
;;|     v1 = f32.const 0x3f800000
;;|     v2 = f32.const 0x40000000
;;|     return v1 v2
;;| func 4 $constant () -> (i32)
;;| b0:
;;|     v1 = i32.const 5
;;|     v2 = i32.const 3
;;|     v3 = i32.call f0 v1
;;|     return v3
;;| func 5 $constant_tail () -> (i32)
;;| b0:
;;|     v1 = i32.const 5
;;|     v2 = i32.const 2
;;|     return.call f1 v1
;;| func 6 $run (i32) -> (i64)
;;| b0:
;;|     v1 = i32.param 0
;;|     v4 = i32.const 4
;;|     v5 = i32.sub v1 v4
;;|     v6 = i32.const 1
;;|     v7 = i32.gtu v5 v6
;;|     branch v7 b2 b1
;;| b1: preds b0
;;|     v2 = i64.call f2
;;|     return v2
;;| b2: preds b0
;;|     v9 = i64.call.indirect type 2 table 0 v1
;;|     trap unreachable
;;| func 7 $single (i32) -> (f32 f32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v5 = i32.const 6
;;|     v6 = i32.ne v1 v5
;;|     branch v6 b2 b1
;;| b1: preds b0
;;|     v2 = f32.call f3
;;|     v3 = f32.result v2 1
;;|     return v2 v3
;;| b2: preds b0
;;|     v8 = f32.call.indirect type 3 table 0 v1
;;|     v9 = f32.result v8 1
;;|     trap unreachable
;;| func 8 $twice (i32) -> (i64)
;;| b0:
;;|     v1 = i32.param 0
;;|     v7 = i32.const 4
;;|     v8 = i32.sub v1 v7
;;|     v9 = i32.const 1
;;|     v10 = i32.gtu v8 v9
;;|     branch v10 b2 b1
;;| b1: preds b0
;;|     v2 = i64.call f2
;;|     v3 = i32.const 4
;;|     v4 = i64.call f2
;;|     v5 = i64.add v2 v4
;;|     return v5
;;| b2: preds b0
;;|     v12 = i64.call.indirect type 2 table 0 v1
;;|     trap unreachable
;;| func 9 $of_several (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 5
;;|     v3 = i32.call.indirect type 0 table 0 v2 v1
;;|     return v3
;;| func 10 $null () -> (i32)
;;| b0:
;;|     v1 = i32.const 5
;;|     v2 = i32.const 0
;;|     v3 = i32.call.indirect type 0 table 0 v1 v2
;;|     return v3
;;| func 11 $wrong_type () -> (i32)
;;| b0:
;;|     v1 = i32.const 5
;;|     v2 = i32.const 4
;;|     v3 = i32.call.indirect type 0 table 0 v1 v2
;;|     return v3
;;| func 12 $outside () -> (i32)
;;| b0:
;;|     v1 = i32.const 5
;;|     v2 = i32.const 9
;;|     v3 = i32.call.indirect type 0 table 0 v1 v2
;;|     return v3
;;| func 13 $stays_exported () -> (i64)
;;| b0:
;;|     v1 = i32.const 0
;;|     v2 = i64.call.indirect type 2 table 1 v1
;;|     return v2
;;| func 14 $stays_written (i32) -> (i64)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 0
;;|     v3 = i64.const 0
;;|     v4 = i32.const 2
;;|     call.builtin table.set v2 v3 v4
;;|     v6 = i64.call.indirect type 2 table 2 v1
;;|     return v6
