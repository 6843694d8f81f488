//! Our values as PostgreSQL sends and takes them.

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

use crate::session::{Cell, Value};

impl ToSql for Value<'_> {
    fn to_sql(&self, type_: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(value) if *type_ == Type::INT4 => i32::try_from(*value)?.to_sql(type_, out),
            Value::Integer(value) if *type_ == Type::INT8 => value.to_sql(type_, out),
            // PostgreSQL's texts hold no NUL.
            Value::Text(value) if value.contains('\0') => value.replace('\0', "\u{fffd}").to_sql(type_, out),
            Value::Text(value) if <&str as ToSql>::accepts(type_) => value.to_sql(type_, out),
            Value::Bytes(value) if *type_ == Type::BYTEA => value.to_sql(type_, out),
            Value::Integer(_) | Value::Text(_) | Value::Bytes(_) => Err(format!("not a {type_}: {self:?}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(type_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *type_ {
            Type::INT4 => Self::Integer(i32::from_sql(type_, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(type_, raw)?),
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            _ => Self::Text(String::from_sql(type_, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(type_: &Type) -> bool {
        matches!(*type_, Type::INT4 | Type::INT8 | Type::BYTEA) || <String as FromSql>::accepts(type_)
    }
}
